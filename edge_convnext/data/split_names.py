"""Names of the sides of a split: one table, and how sibling folders settle the rest.

Seen on Kaggle, in Roboflow and Label Studio exports, fastai, Keras, torchvision and
Hugging Face: `Training`/`Testing`, `seg_train`/`seg_test`, `train_images`, `x_train`, `dev`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

__all__ = ["Kind", "Side", "choose_sides", "have_pairs", "split_kind", "split_words"]

Side = Literal["train", "val"]
Kind = Literal["train", "val", "test", "unused"]

# Lower case, without accents and separators.
_WORDS: dict[Kind, str] = {
    "train": "train trains training trained trainval entrenamiento entrenar entrainement "
    "apprentissage traning trening træning opplæring treino treinamento treinar addestramento "
    "allenamento trainieren lernen "
    "egitim uczenie treningowy latih pelatihan 训练 訓練 学習 학습 훈련 обучение тренировка",
    "val": "val vals valid validate validation validating vali dev devel development eval "
    "evaluate evaluation validacion validacao validierung validazione dogrulama walidacja "
    "validatie validering validasi 验证 驗證 検証 검증 валидация",
    "test": "test tests testing tested holdout heldout prueba pruebas teste testes essai "
    "测试 測試 テスト 테스트 тест тестирование",
    "unused": "pred preds predict prediction predictions inference submission unlabeled "
    "unlabelled unlabel extra unused ignore ignored unsup",
}
# Words of a few letters, or with another meaning: sides only where the other side exists too.
_WEAK: dict[Kind, str] = {
    "train": "tr trn tra fit learn learning finetune finetuning",
    "val": "va vl vld vd",
    "test": "te ts tst tes",
}
# Words beside it: `train_images`, `test_set`, `val2017`, `train_v2`, `train_resized`.
_BESIDE_WORDS = (
    "set sets data dataset datasets image images img imgs pic pics picture pictures photo photos "
    "jpg jpeg png dir folder folders split splits part file files sample samples resized resize "
    "crop crops cropped small large big full final new orig original v ver version x px the "
    "side subset class classes fold public private"
)
_BESIDE = frozenset(_BESIDE_WORDS.split())
# `dataset` before its own end.
_JOINED_WORDS = (
    "dataset set sets data images image imgs img dir folder sdaten daten sdatensatz datensatz "
    "sbilder bilder"
)
_JOINED = tuple(_JOINED_WORDS.split())
# Names of the training side, where an evaluation side and no other training side exists.
_DEVELOPMENT = frozenset(("dev", "devel", "development"))

_STRONG_KIND = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_WEAK_KIND = {word: kind for kind, words in _WEAK.items() for word in words.split()}


def split_kind(name: str) -> Kind | None:
    """The side that a name means by itself; None for any other word."""
    kind, beside = _read(name, _STRONG_KIND)
    return kind if not beside else None


def choose_sides(names: Iterable[str]) -> dict[str, Side]:
    """Map split names to the side they are on; a name that is left out is not used.

    `test` evaluates only where there is no validation split. A short word (`tr`), or a word with
    another beside it (`seg_train`), is a side where the other side is there in the same form.
    """
    given = list(names)
    found = {name: kind for name in given if (kind := split_kind(name)) is not None}
    if not _both(found.values()):
        found = _by_siblings(given) or found
    spare = "val" in found.values()
    sides: dict[str, Side] = {}
    for name, kind in found.items():
        if kind in ("train", "val"):
            sides[name] = "train" if kind == "train" else "val"
        elif kind == "test" and not spare:
            sides[name] = "val"
    return sides if "train" in sides.values() else _develop(sides)


def _develop(sides: dict[str, Side]) -> dict[str, Side]:
    """`Development` beside `Evaluation` trains."""
    found = [name for name in sides if _DEVELOPMENT.intersection(_tokens(name))]
    trains = found if len(found) < len(sides) else []
    return sides | dict.fromkeys(trains, "train")


def have_pairs(names: Iterable[str]) -> bool:
    """Whether both sides exist in the same form, such as `trainA` and `testA`."""
    groups: dict[tuple[str, ...], set[Kind]] = defaultdict(set)
    for name in names:
        kind, beside = _read(name, _STRONG_KIND)
        if kind is not None:
            groups[beside].add(kind)
    return any(map(_both, groups.values()))


def split_words(names: Iterable[str]) -> dict[str, Kind]:
    """Names that contain a split's word, beside any other words."""
    read = {name: _read(name, _STRONG_KIND)[0] for name in names}
    return {name: kind for name, kind in read.items() if kind is not None and kind != "unused"}


def _by_siblings(names: list[str]) -> dict[str, Kind]:
    """Kinds where exactly one remainder (`seg`, or none) occurs with both sides."""
    groups: dict[tuple[str, ...], dict[str, Kind]] = defaultdict(dict)
    for name in names:
        kind, beside = _read(name, _STRONG_KIND | _WEAK_KIND)
        if kind is not None:
            groups[beside][name] = kind
    whole = [group for group in groups.values() if _both(group.values())]
    return whole[0] if len(whole) == 1 else {}


def _both(kinds: Iterable[Kind]) -> bool:
    found = set(kinds)
    return "train" in found and bool(found & {"val", "test"})


def _read(name: str, words: dict[str, Kind]) -> tuple[Kind | None, tuple[str, ...]]:
    """Read the one split word of a name, and the words beside it that have a meaning."""
    kinds: list[Kind] = []
    beside: list[str] = []
    for word in _tokens(name):
        kind = words.get(word) or words.get(_unjoin(word))
        if kind is not None:
            kinds.append(kind)
        elif word not in _BESIDE and not word.isdecimal():
            beside.append(word)
    return (kinds[0] if len(set(kinds)) == 1 else None), tuple(beside)


def _tokens(name: str) -> list[str]:
    """Words of a name: of `TrainSet` train and set, of `held-out` heldout; without accents."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    plain = unicodedata.normalize("NFC", plain)
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).lower()
    plain = re.sub(r"\b(held|hold)[\W_]*(out)\b", r"\1\2", plain.replace("_", " "))
    return re.findall(r"\d+|[^\W\d_]+", plain)


def _unjoin(word: str) -> str:
    for end in _JOINED:
        if word.endswith(end) and len(word) > len(end):
            return word.removesuffix(end)
    if word.endswith("集"):  # 训练集
        return word.removesuffix("集")
    return word
