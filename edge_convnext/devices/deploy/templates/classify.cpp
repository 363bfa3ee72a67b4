// Classify an image with TensorRT 8.6 or later, or TensorRT for RTX:
//
//     classify model.engine leaf.ppm
//
// The image is a binary PPM (PGM for a grey model) of the model's size, made by the command that
// stands in model.h, with the sizes and numbers of the model: another resize is another image, and
// may be another answer. `edge-convnext deploy` wrote model.h.

#include <NvInfer.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "model.h"

namespace {

[[noreturn]] void fail(std::string const& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

void check(cudaError_t status) {
    if (status != cudaSuccess) fail(cudaGetErrorString(status));
}

class Logger : public nvinfer1::ILogger {
    void log(Severity severity, char const* message) noexcept override {
        if (severity <= Severity::kWARNING) std::fprintf(stderr, "%s\n", message);
    }
};

std::vector<char> readFile(char const* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail(std::string("can't read ") + path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A number of a PPM's header; blanks and comments, from # to the line's end, lie before it.
int readNumber(std::istream& file) {
    while (file >> std::ws && file.peek() == '#') {
        file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
    int number = 0;
    file >> number;
    return number;
}

std::vector<std::uint8_t> readPixels(char const* path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) fail(std::string("can't read ") + path);
    std::string const name(path), wanted(model::kChannels == 1 ? "P5" : "P6");
    char magic[2] = {};
    file.read(magic, 2);
    if (std::string(magic, 2) != wanted) {
        fail(name + ": not a binary " + (model::kChannels == 1 ? "PGM (P5)" : "PPM (P6)"));
    }
    int const width = readNumber(file), height = readNumber(file), largest = readNumber(file);
    file.get();  // the one blank before the pixels
    if (!file) fail(name + ": its header is damaged");
    if (width != model::kWidth || height != model::kHeight) {
        fail(name + ": " + std::to_string(width) + "x" + std::to_string(height) +
             " is not of the model's size, " + std::to_string(model::kWidth) + "x" +
             std::to_string(model::kHeight) + " (width x height); model.h tells how");
    }
    if (largest != 255 && largest != 65535) {
        fail(name + ": its largest value is " + std::to_string(largest) + ", not 255 or 65535");
    }
    std::size_t const bytes = largest == 255 ? 1 : 2;  // of two the first is the high one
    std::vector<std::uint8_t> pixels(std::size_t(width) * height * model::kChannels * bytes);
    if (!file.read(reinterpret_cast<char*>(pixels.data()), std::streamsize(pixels.size()))) {
        fail(name + ": ends too early");
    }
    for (std::size_t i = 0; i < pixels.size() / bytes; ++i) pixels[i] = pixels[i * bytes];
    pixels.resize(pixels.size() / bytes);
    return pixels;
}

// float16: 1 bit of sign, 5 of exponent, 10 of mantissa. Normalised pixels are within its range.
std::uint16_t toHalf(float value) {
    std::uint16_t const sign = std::signbit(value) ? 0x8000 : 0;
    int exponent = -13;  // of the smallest numbers, which share it
    if (value != 0) std::frexp(value, &exponent);
    exponent = std::max(exponent, -13);
    auto const steps = int(std::nearbyint(std::ldexp(std::fabs(value), 11 - exponent)));
    return std::uint16_t(sign + ((exponent + 13) << 10) + steps);
}

float fromHalf(std::uint16_t bits) {
    int const exponent = bits >> 10 & 31, mantissa = bits & 1023;
    float const size = exponent == 31 ? (mantissa ? NAN : INFINITY)
                       : exponent     ? std::ldexp(1024.0F + mantissa, exponent - 25)
                                      : std::ldexp(float(mantissa), -24);
    return bits & 0x8000 ? -size : size;
}

template <typename T>
std::vector<std::uint8_t> toBytes(std::vector<T> const& values) {
    auto const* bytes = reinterpret_cast<std::uint8_t const*>(values.data());
    return {bytes, bytes + values.size() * sizeof(T)};
}

// Bytes of the network's input: normalised floats [C, H, W], or pixels in the model's own order.
std::vector<std::uint8_t> prepare(std::vector<std::uint8_t> const& pixels,
                                  nvinfer1::DataType kind) {
    std::size_t const area = std::size_t(model::kHeight) * model::kWidth;
    std::vector<float> values(pixels.size());
    std::vector<std::uint8_t> planes(pixels.size());
    for (std::size_t i = 0; i < area; ++i) {
        for (std::size_t c = 0; c < model::kChannels; ++c) {
            std::uint8_t const pixel = pixels[i * model::kChannels + c];
            planes[c * area + i] = pixel;
            values[c * area + i] = pixel * model::kScale[c] - model::kShift[c];
        }
    }
    if (kind == nvinfer1::DataType::kUINT8) return model::kInterleaved ? pixels : planes;
    if (kind == nvinfer1::DataType::kFLOAT) return toBytes(values);
    std::vector<std::uint16_t> halves(values.size());
    std::transform(values.begin(), values.end(), halves.begin(), toHalf);
    return toBytes(halves);
}

bool isFloat(nvinfer1::DataType kind) {
    return kind == nvinfer1::DataType::kFLOAT || kind == nvinfer1::DataType::kHALF;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) fail("usage: classify ENGINE IMAGE");
    Logger logger;
    auto const plan = readFile(argv[1]);
    std::unique_ptr<nvinfer1::IRuntime> runtime(nvinfer1::createInferRuntime(logger));
    if (!runtime) fail("TensorRT can't start");
    runtime->setEngineHostCodeAllowed(model::kVersionCompatible);
    std::unique_ptr<nvinfer1::ICudaEngine> engine(
        runtime->deserializeCudaEngine(plan.data(), plan.size()));
    if (!engine) fail("the engine is not for this machine");
    char const* source = nullptr;
    char const* result = nullptr;
    for (std::int32_t i = 0; i < engine->getNbIOTensors(); ++i) {
        char const* name = engine->getIOTensorName(i);
        bool const isInput = engine->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT;
        (isInput ? source : result) = name;
    }
    if (!source || !result) fail("the engine has no input or no output");
    auto const kind = engine->getTensorDataType(source);
    auto const resultKind = engine->getTensorDataType(result);
    if ((kind != nvinfer1::DataType::kUINT8 && !isFloat(kind)) || !isFloat(resultKind)) {
        fail("this program takes images as floats, halves or bytes, and logits as floats or halves");
    }
    bool const halfResult = resultKind == nvinfer1::DataType::kHALF;
    std::unique_ptr<nvinfer1::IExecutionContext> context(engine->createExecutionContext());
    if (!context) fail("no room to run the engine");

    auto shape = engine->getTensorShape(source);
    if (shape.nbDims != 4) fail("the engine's input is not a batch of images");
    if (shape.d[0] < 0) shape.d[0] = 1;  // any batch
    if (!context->setInputShape(source, shape)) fail("the engine can't run one image");
    auto const batch = std::size_t(shape.d[0]);
    auto const image = prepare(readPixels(argv[2]), kind);
    std::vector<float> logits(batch * model::kClasses);
    std::vector<std::uint8_t> made(logits.size() * (halfResult ? 2 : 4));

    void* input = nullptr;
    void* output = nullptr;
    cudaStream_t stream = nullptr;
    check(cudaStreamCreate(&stream));
    check(cudaMalloc(&input, batch * image.size()));
    check(cudaMalloc(&output, made.size()));
    for (std::size_t i = 0; i < batch; ++i) {  // a fixed batch: the same image in every place
        check(cudaMemcpyAsync(static_cast<std::uint8_t*>(input) + i * image.size(), image.data(),
                              image.size(), cudaMemcpyHostToDevice, stream));
    }
    if (!context->setTensorAddress(source, input) ||
        !context->setTensorAddress(result, output) || !context->enqueueV3(stream)) {
        fail("TensorRT failed");
    }
    check(cudaMemcpyAsync(made.data(), output, made.size(), cudaMemcpyDeviceToHost, stream));
    check(cudaStreamSynchronize(stream));
    for (std::size_t i = 0; i < logits.size(); ++i) {
        std::uint16_t half = 0;
        if (halfResult) std::memcpy(&half, &made[2 * i], 2);
        else std::memcpy(&logits[i], &made[4 * i], 4);
        if (halfResult) logits[i] = fromHalf(half);
        if (!std::isfinite(logits[i])) fail("the engine gave logits that are no numbers");
    }

    std::vector<std::size_t> order(model::kClasses);
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
    for (std::size_t i = 0; i < std::min<std::size_t>(5, order.size()); ++i) {
        std::printf("%8.3f  %s\n", logits[order[i]], model::kLabels[order[i]]);
    }
    check(cudaFree(input));
    check(cudaFree(output));
    check(cudaStreamDestroy(stream));
    return 0;
}
