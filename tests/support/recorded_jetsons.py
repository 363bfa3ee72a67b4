"""Sysfs trees and tool outputs of running Jetsons, made in their documented formats."""

from __future__ import annotations

from edge_convnext.devices.jetson.tools import ToolAnswer
from support.recorded_boards import AGX_ORIN, AGX_XAVIER, ORIN_NANO, ORIN_NX, THOR, XAVIER_NX

NEEDS_ROOT = ToolAnswer(1, "Error: Run this script(/usr/bin/jetson_clocks) as a root user\n")
NOT_INSTALLED = ToolAnswer(None, "No such file or directory")


def monitor(number, name, **files):
    """Files of one entry of /sys/class/hwmon."""
    folder = f"sys/class/hwmon/hwmon{number}"
    return {
        f"{folder}/name": f"{name}\n",
        **{f"{folder}/{file}": f"{value}\n" for file, value in files.items()},
    }


def ina3221(number, rails):
    """A monitor with up to three rails: label to (mV, mA)."""
    files = {"in7_label": "sum of shunt voltages", "in7_input": 12, "curr4_input": 3000}
    for channel, (label, (millivolts, milliamperes)) in enumerate(rails.items(), start=1):
        files[f"in{channel}_label"] = label
        files[f"in{channel}_input"] = millivolts
        files[f"curr{channel}_input"] = milliamperes
    return monitor(number, "ina3221", **files)


def zones(**degrees):
    """Thermal zones, by name with `_` for `-`; None is one that refuses to be read."""
    files = {}
    for number, (name, value) in enumerate(degrees.items()):
        folder = f"sys/class/thermal/thermal_zone{number}"
        files[f"{folder}/type"] = name.replace("_", "-") + "\n"
        if value is not None:
            files[f"{folder}/temp"] = f"{int(value * 1000)}\n"
    return files


def cooling(**states):
    """Cooling devices by name, with their states."""
    files = {}
    for number, (name, state) in enumerate(states.items()):
        folder = f"sys/class/thermal/cooling_device{number}"
        files[f"{folder}/type"] = name.replace("_", "-") + "\n"
        files[f"{folder}/cur_state"] = f"{state}\n"
        files[f"{folder}/max_state"] = "2\n"
    return files


def cpu(policy, low, high, now):
    """A cpufreq policy, in kHz."""
    folder = f"sys/devices/system/cpu/cpufreq/policy{policy}"
    return {
        f"{folder}/scaling_min_freq": f"{low}\n",
        f"{folder}/scaling_max_freq": f"{high}\n",
        f"{folder}/scaling_cur_freq": f"{now}\n",
    }


def devfreq(name, low, high, now):
    """A devfreq device, in Hz."""
    folder = f"sys/class/devfreq/{name}"
    return {
        f"{folder}/min_freq": f"{low}\n",
        f"{folder}/max_freq": f"{high}\n",
        f"{folder}/cur_freq": f"{now}\n",
    }


OVER_CURRENT = {"oc1_event_cnt": 0, "oc2_event_cnt": 15, "oc3_event_cnt": 37}

RUNNING_NANO = {
    **ORIN_NANO,
    **monitor(0, "pwmfan", pwm1=88),
    **ina3221(1, {"VDD_IN": (4984, 1856), "VDD_CPU_GPU_CV": (4984, 400), "VDD_SOC": (4976, 300)}),
    **monitor(2, "pwm_tach", rpm=2140),
    **monitor(3, "soctherm_oc", **OVER_CURRENT),
    **zones(cpu_thermal=49.468, gpu_thermal=50.125, cv0_thermal=None, tj_thermal=50.531),
    **cooling(pwm_fan=3, cpu_throttle_alert=0, gpu_throttle_alert=0),
    **cpu(0, 729600, 1728000, 1190400),
    **cpu(4, 729600, 1728000, 729600),
    **devfreq("17000000.gpu", 306000000, 1020000000, 306000000),
    **devfreq("15340000.vic", 115200000, 729600000, 115200000),
}
RUNNING_NX = {
    **ORIN_NX,
    **ina3221(1, {"VDD_IN": (19000, 500), "VDD_CPU_GPU_CV": (19000, 100), "VDD_SOC": (19000, 90)}),
    **zones(cpu_thermal=40.0, tj_thermal=41.5),
    **cooling(gpu_throttle_alert=1, devfreq_17000000_gpu=1),
}
RUNNING_AGX = {
    **AGX_ORIN,
    **ina3221(
        1, {"VDD_GPU_SOC": (12000, 200), "VDD_CPU_CV": (12000, 0), "VIN_SYS_5V0": (5000, 800)}
    ),
    **ina3221(2, {"NC": (0, 0), "VDDQ_VDD2_1V8AO": (5000, 300)}),
    **zones(cpu_thermal=42.6, gpu_thermal=-256.0, tj_thermal=42.7),
}
RUNNING_XAVIER_NX = {
    **XAVIER_NX,
    **ina3221(4, {"VDD_IN": (5000, 775), "VDD_CPU_GPU_CV": (5000, 174), "VDD_SOC": (5000, 207)}),
    **zones(CPU_therm=32.5, GPU_therm=32.0, PMIC_Die=50.0),
    **devfreq("17000000.gv11b", 114750000, 1109250000, 1109250000),
    **cooling(gpu_balanced=0),
}
RUNNING_AGX_XAVIER = {
    **AGX_XAVIER,
    **ina3221(3, {"GPU": (19000, 25), "CPU": (19000, 25), "SOC": (19000, 66)}),
    **ina3221(4, {"CV": (19000, 0), "VDDRQ": (19000, 16), "SYS5V": (5000, 550)}),
    **zones(CPU_therm=36.5, GPU_therm=35.0),
}
RUNNING_THOR = {
    **THOR,
    **ina3221(
        6,
        {"VDD_GPU": (19700, 100), "VDD_CPU_SOC_MSS": (19700, 300), "VIN_SYS_5V0": (5000, 1130)},
    ),
    **monitor(5, "ina238", power1_input=19780000, in1_input=19700, curr1_input=1004),
    **monitor(7, "soctherm_oc", oc1_event_cnt=0, oc2_event_cnt=8, oc3_event_cnt=813),
    **zones(cpu_thermal=53.7, tj_thermal=55.1, soc012_thermal=55.1, gpu_thermal=None),
    **cooling(cpu_throttle_alert=0, gpu_throttle_alert=0, devfreq_gpu_gpc_0=18),
    **cpu(0, 2601000, 2601000, 2601000),
    **devfreq("gpu-gpc-0", 1575000000, 1575000000, 1575000000),
    **devfreq("gpu-nvd-0", 1692000000, 1692000000, 1692000000),
    **devfreq("bwmgr", 665600000, 4266000000, 4266000000),
}
RUNNING = {
    "orin-nano-8gb": RUNNING_NANO,
    "orin-nx-16gb": RUNNING_NX,
    "agx-orin-64gb": RUNNING_AGX,
    "xavier-nx-16gb": RUNNING_XAVIER_NX,
    "agx-xavier-32gb": RUNNING_AGX_XAVIER,
    "thor-t5000": RUNNING_THOR,
}

SHOW_NANO = """\
SOC family:tegra234  Machine:NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super
Online CPUs: 0-4
cpu0:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1344000 CurrentFreq=1190400 IdleStates: WFI=1 c7=1
cpu4:  Online=1 Governor=schedutil MinFreq=729600 MaxFreq=1344000 CurrentFreq=729600 IdleStates: WFI=1 c7=1
cpu5:  Online=0 Governor=schedutil MinFreq=729600 MaxFreq=1344000 CurrentFreq=729600 IdleStates: WFI=1 c7=1
GPU MinFreq=306000000 MaxFreq=918000000 CurrentFreq=306000000
Active GPU TPCs: 4
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=2133000000 FreqOverride=0
FAN Dynamic Speed Control=nvfancontrol hwmon0_pwm1=69
NV Power Mode: 25W
"""  # noqa: E501
SHOW_NANO_LOCKED = """\
cpu0:  Online=1 Governor=schedutil MinFreq=1728000 MaxFreq=1728000 CurrentFreq=1726080 IdleStates: WFI=0 c7=0
cpu5:  Online=0 Governor=schedutil MinFreq=729600 MaxFreq=1344000 CurrentFreq=729600 IdleStates: WFI=1 c7=1
GPU MinFreq=1020000000 MaxFreq=1020000000 CurrentFreq=1020000000
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=3199000000 FreqOverride=1
FAN Dynamic Speed Control=disabled hwmon0_pwm1=255
"""  # noqa: E501
SHOW_THOR_LOCKED = """\
cpu0:  Governor=schedutil MinFreq=2601000 MaxFreq=2601000 CurrentFreq=2601000 IdleStates: WFI=0 cc7=0
gpu-gpc-0 MinFreq=1575000000 MaxFreq=1575000000 CurrentFreq=1575000000
gpu-nvd-0 MinFreq=1692000000 MaxFreq=1692000000 CurrentFreq=1692000000
EMC MinFreq=665600000 MaxFreq=4266000000 CurrentFreq=4266000000 FreqOverride=1
PVA0_VPS0: Online=0 MinFreq=0 MaxFreq=1215000000 CurrentFreq=1215000000
FAN Dynamic Speed Control=nvfancontrol hwmon1_pwm1=73
NV Power Mode: MAXN
"""  # noqa: E501
SHOW_AGX = """\
cpu0: Online=1 Governor=schedutil MinFreq=729600 MaxFreq=2201600 CurrentFreq=2188800 IdleStates: WFI=1 c7=1
GPU MinFreq=306000000 MaxFreq=1300500000 CurrentFreq=306000000
EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=2133000000 FreqOverride=0
DLA0_CORE:   Online=1 MinFreq=0 MaxFreq=1600000000 CurrentFreq=1600000000
FAN Dynamic Speed control=active hwmon2_pwm1=55
NV Power Mode: MAXN
"""  # noqa: E501

# tegrastats, one line of each format: what it printed, and the milliwatts in it.
TEGRASTATS = {
    "orin nano": (
        "04-24-2025 00:01:24 RAM 1282/7620MB (lfb 15152x4MB) SWAP 0/3810MB (cached 0MB) CPU "
        "[0%@729,0%@729,off] EMC_FREQ 0%@2133 GR3D_FREQ 0%@306 VIC_FREQ 729 APE 174 CV0@-256C "
        "CPU@42.593C tj@42.593C VDD_IN 4851mW/4851mW VDD_CPU_GPU_CV 518mW/518mW "
        "VDD_SOC 1415mW/1415mW",
        {"VDD_IN": 4851, "VDD_CPU_GPU_CV": 518, "VDD_SOC": 1415},
    ),
    "agx orin, jetson linux 39": (
        "09-15-2026 12:19:33 RAM 999/62841MB CPU [0%@729,off] GR3D_FREQ 0% cpu@43.093C/43.093C "
        "VDD_GPU_SOC 2792mW/2792mW/2792mW VDD_CPU_CV 0mW/0mW/0mW "
        "VIN_SYS_5V0 3918mW/3952mW/4019mW",
        {"VDD_GPU_SOC": 2792, "VDD_CPU_CV": 0, "VIN_SYS_5V0": 3918},
    ),
    "thor": (
        "04-21-2026 15:50:52 RAM 105265/125772MB (lfb 34x4MB) CPU [0%@972,8%@972] "
        "EMC_FREQ 0%@2750 GR3D_FREQ @[314,314,314] VIC off OFA_FREQ @315 APE 300 gpu@38.875C "
        "VDD_GPU 1962mW/1962mW VDD_CPU_SOC_MSS 5887mW/5887mW VIN_SYS_5V0 5635mW/5635mW "
        "VIN 19780mW/19780mW",
        {"VDD_GPU": 1962, "VDD_CPU_SOC_MSS": 5887, "VIN_SYS_5V0": 5635, "VIN": 19780},
    ),
    "xavier nx, jetpack 4": (
        "RAM 2540/7771MB (lfb 1x4MB) SWAP 0/3885MB IRAM 0/252kB(lfb 252kB) CPU [1%@1190] "
        "EMC_FREQ 0%@1600 MTS fg 0% bg 0% PLL@32.5C PMIC@100C thermal@32.2C "
        "VDD_IN 3875/3875 VDD_CPU_GPU_CV 874/874 VDD_SOC 1037/1037",
        {"VDD_IN": 3875, "VDD_CPU_GPU_CV": 874, "VDD_SOC": 1037},
    ),
    "agx xavier": (
        "EMC_FREQ 0%@1331 GR3D_FREQ 0%@114 APE 150 AUX@36C Tdiode@38.75C GPU 467mW/467mW "
        "CPU 467mW/467mW SOC 1245mW/1245mW CV 0mW/0mW VDDRQ 311mW/311mW SYS5V 2768mW/2768mW",
        {"GPU": 467, "CPU": 467, "SOC": 1245, "CV": 0, "VDDRQ": 311, "SYS5V": 2768},
    ),
    "nano": (
        "RAM 1024/3964MB (lfb 4x4MB) IRAM 0/252kB(lfb 252kB) CPU [2%@102] EMC_FREQ 4%@1600 "
        "GR3D_FREQ 0%@76 APE 25 iwlwifi@32C POM_5V_IN 2000/2000 POM_5V_GPU 40/40 "
        "POM_5V_CPU 160/160",
        {"POM_5V_IN": 2000, "POM_5V_GPU": 40, "POM_5V_CPU": 160},
    ),
    "no average": (
        "RAM 1/2MB VDD_GPU_SOC 10340mW VDD_CPU_CV 100mW VIN_SYS_5V0 7000mW",
        {"VDD_GPU_SOC": 10340, "VDD_CPU_CV": 100, "VIN_SYS_5V0": 7000},
    ),
    "negative": ("VDD_GPU -392mW/-392mW", {"VDD_GPU": -392}),
    "nothing": ("RAM 1282/62795MB CPU [0%@729] GR3D_FREQ 0% cpu@40C", {}),
    "garbage": ("\0\0VDD_IN mW/mW 7/7 @@ VDD_IN 12W/13W RAM /", {}),
}


def tools(**answers):
    """A runner that gives recorded answers: `nvpmodel="…"` is what it prints."""

    def run(command):
        answer = answers.get(command[0], NOT_INSTALLED)
        return answer if isinstance(answer, ToolAnswer) else ToolAnswer(0, answer)

    return run
