"""The places where tools write settings that decide a result: one list, with sources."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_convnext.core.origins import FactName
from edge_convnext.networks.facts.words import fact_of_words, is_named_by

__all__ = [
    "FILES", "KEYS", "FilePlace", "KeyPlace", "find_keys", "is_file_of", "is_known", "plain_key",
]  # fmt: skip


@dataclass(frozen=True)
class KeyPlace:
    """Keys with one meaning, in any mapping in a checkpoint or in a file beside it."""

    fact: FactName
    keys: tuple[str, ...]  # as they are written; case, '_' and '-' don't matter
    tool: str
    source: str


@dataclass(frozen=True)
class FilePlace:
    """Files beside the weights. `{stem}` is the checkpoint's own name."""

    patterns: tuple[str, ...]  # regular expressions, lower case
    holds: str  # "classes": names alone; "settings": a mapping; "front matter"
    tool: str
    source: str
    words: frozenset[str] = frozenset()  # the name has one of them, and no unknown word
    suffixes: tuple[str, ...] = ()  # of names by words


# Words beside the deciding ones in names of files.
_AROUND = frozenset((
    "to", "2", "idx", "index", "indices", "id", "ids", "int", "num", "map", "list", "dict", "name",
    "names", "encoder", "encoding", "mapping", "model", "imagenet", "obj", "coco", "v",
))  # fmt: skip
_AROUND_SETTINGS = frozenset((
    "model", "train", "training", "trained", "data", "dataset", "image", "img", "run", "test",
    "val", "eval", "best", "final", "last", "my", "full", "convnext", "convnextv", "atto", "timm",
    "mean", "std", "and", "card", "args", "1", "2",
))  # fmt: skip

# Keys that are not listed count by their words: see `words`.
KEYS: tuple[KeyPlace, ...] = (
    KeyPlace("classes", ("class_to_idx", "class2idx", "class_to_index", "class_to_id", "cls_to_idx",
                         "class_idx", "class_dict"),
             "torchvision's ImageFolder, and scripts that save it with the model",
             "torchvision 0.29, datasets/folder.py"),
    KeyPlace("classes", ("idx_to_class", "idx2class", "index_to_class", "id_to_class", "id2class",
                         "int_to_class"),
             "training scripts", "the inverse of class_to_idx, in most tutorials on checkpoints"),
    KeyPlace("classes", ("id2label", "id_to_label", "idx2label", "idx_to_label", "int2label",
                         "index_to_label", "label_id_to_name"),
             "transformers, config.json", "transformers 5, configuration_utils.py"),
    KeyPlace("classes", ("label2id", "label_to_id", "label2idx", "label_to_idx", "label2int",
                         "label_to_index", "name_to_idx", "name_to_id"),
             "transformers, config.json", "transformers 5, configuration_utils.py"),
    KeyPlace("classes", ("label_names",),
             "timm's hub config.json; OTX and Geti, label_info of a checkpoint",
             "timm 1.0.31, models/_hub.py; otx/types/label.py"),
    KeyPlace("classes", ("class_names", "class_name", "classnames", "class_list", "class_labels",
                         "target_names", "label_list", "labels_list", "cat_names"),
             "training scripts; scikit-learn's reports", "most tutorials on checkpoints"),
    KeyPlace("classes", ("classes", "classes_"),
             "mmpretrain: meta.dataset_meta.classes, meta.CLASSES of mmcls 0.x; scikit-learn's "
             "LabelEncoder; training scripts", "mmengine 0.10, runner/runner.py"),
    KeyPlace("classes", ("categories",),
             "torchvision, weights.meta", "torchvision 0.29, models/_api.py"),
    KeyPlace("classes", ("vocab",), "fastai: dls.vocab", "fastai 2.8, data/core.py"),
    KeyPlace("classes", ("class_indices",),
             "Keras: ImageDataGenerator", "Keras, DirectoryIterator.class_indices"),
    KeyPlace("classes", ("index_to_name", "idx_to_name", "id_to_name", "id2name", "idx2name"),
             "TorchServe, index_to_name.json", "TorchServe, default_handlers.md"),
    KeyPlace("classes", ("class_map", "classmap", "label_map", "labelmap", "class_mapping",
                         "label_mapping", "labels_map", "labels_dict", "label_dict",
                         "class_id_to_name"),
             "timm's --class-map; TAO's classmap", "timm 1.0.31, data/readers/class_map.py"),
    KeyPlace("classes", ("names",),
             "Ultralytics: model.names, data.yaml", "Ultralytics, nn/tasks.py"),
    KeyPlace("classes", ("labels",), "training scripts", "most tutorials on checkpoints"),
    KeyPlace("image_size", ("image_size", "img_size", "imgsz", "im_size", "imsize", "image_sz",
                            "input_size", "input_resolution", "resolution", "input_shape",
                            "image_shape", "img_shape", "target_size", "val_crop_size",
                            "test_crop_size", "eval_crop_size", "crop_size", "center_crop",
                            "input_img_size", "size"),
             "timm's and Facebook's arguments; transformers' config.json; OTX; scripts",
             "timm 1.0.31, train.py; ConvNeXt-V2, main_finetune.py; torchvision, references"),
    KeyPlace("mean", ("mean", "image_mean", "img_mean", "pixel_mean", "norm_mean", "normalize_mean",
                      "normalization_mean", "rgb_mean", "dataset_mean", "data_mean",
                      "channel_mean", "imagenet_mean", "means", "mean_values", "input_mean"),
             "timm: pretrained_cfg; transformers: image_mean; mmpretrain: data_preprocessor",
             "timm 1.0.31, data/config.py; mmpretrain 1.2, models/utils/data_preprocessor.py"),
    KeyPlace("std", ("std", "image_std", "img_std", "pixel_std", "norm_std", "normalize_std",
                     "normalization_std", "rgb_std", "dataset_std", "data_std", "channel_std",
                     "imagenet_std", "stds", "std_values", "input_std"),
             "as `mean`", "as `mean`"),
    KeyPlace("crop_pct", ("crop_pct", "crop_ratio", "test_crop_ratio", "val_crop_ratio",
                          "eval_crop_ratio", "crop_percent", "crop_fraction"),
             "timm; Facebook", "timm 1.0.31, data/transforms_factory.py"),
    KeyPlace("interpolation", ("interpolation", "interpolation_mode", "resample", "interp",
                               "test_interpolation", "val_interpolation", "eval_interpolation"),
             "timm; transformers: resample, by Pillow's number", "Pillow, Image.Resampling"),
    KeyPlace("resize", ("resize_mode", "crop_mode"),
             "timm: crop_mode", "timm 1.0.31, data/transforms_factory.py"),
    KeyPlace("in_channels", ("in_channels", "in_chans", "input_channels", "num_channels"),
             "timm; transformers: num_channels", "timm 1.0.31, models/convnext.py"),
    KeyPlace("licence", ("license", "licence"),
             "timm: pretrained_cfg.license; the hub's front matter",
             "Hugging Face hub, model cards"),
)  # fmt: skip

# The side of the resize before a crop; with the size it gives `crop_pct`.
RESIZED_KEYS = (
    "val_resize_size", "test_resize_size", "eval_resize_size", "resize_size", "resize", "resize_to",
    "resize_short", "scale_size", "img_resize",
)  # fmt: skip
# Mean and standard deviation in one value, as fastai's imagenet_stats.
STATS_KEYS = (
    "normalize", "normalization", "normalisation", "norm_stats", "stats", "imagenet_stats", "norm",
    "mean_std", "mean_and_std", "norm_params", "data_stats", "dataset_stats",
)  # fmt: skip
# Both sides of the network's input.
SIDE_KEYS = (("image_height", "image_width"), ("img_height", "img_width"), ("img_h", "img_w"),
             ("input_height", "input_width"), ("height", "width"))  # fmt: skip

_OWN = r"{stem}[._-]?"
FILES: tuple[FilePlace, ...] = (
    FilePlace((_OWN + r"(class_?names|classes|labels?|label_?map|class_?map|class_to_idx|names"
               r"|idx_to_class|id2label|categories|index_to_name|class_indices)\.(txt|json|ya?ml"
               r"|csv)",), "classes", "scripts that name the file after the checkpoint",
              "most tutorials on deployment"),
    FilePlace((_OWN + r"(config|args|hparams|meta|metadata|info|settings|params)?\.(json|ya?ml)",),
              "settings", "scripts that name the file after the checkpoint",
              "most tutorials on deployment"),
    FilePlace((r"config\.json",), "settings", "transformers and timm",
              "transformers 5, configuration_utils.py; timm 1.0.31, models/_hub.py"),
    FilePlace((r"preprocessor_config\.json", r"processor_config\.json"), "settings",
              "transformers", "transformers 5, image_processing_base.py"),
    FilePlace((r"args\.ya?ml", r"args\.json", r"opts?\.ya?ml"), "settings",
              "timm's train.py; Ultralytics", "timm 1.0.31, train.py"),
    FilePlace((r"hparams\.ya?ml",), "settings", "Lightning's loggers",
              "Lightning 2.6, core/saving.py"),
    FilePlace((r"(train_|training_|model_)?(config|settings)\.(ya?ml|json)", r"metadata\.json",
               r"meta\.json", r"model_info\.json", r"(hyper)?param(eter)?s\.(json|ya?ml)",
               r"train_args\.json", r"experiment\.ya?ml"),
              "settings", "training scripts; TAO's experiment.yaml",
              "TAO 5.3, image_classification_pyt"),
    FilePlace((r"data(set)?\.ya?ml",), "settings", "Ultralytics", "Ultralytics, data.yaml"),
    FilePlace((r"class_to_idx\.json", r"idx_to_class\.json", r"idx2class\.json",
               r"class2idx\.json", r"(id2label|label2id|idx_to_label|label_to_idx)\.json",
               r"(idx2label|label2idx|class_names?|class_?labels|class_dict)\.json"),
              "classes", "training scripts", "most tutorials on checkpoints"),
    FilePlace((r"class_?map\.(json|txt)", r"label_?map(ping)?\.(json|txt)",
               r"class_?mapping\.json"),
              "classes", "TAO's classmap.json; timm's --class-map",
              "TAO 5.3, image_classification_pyt; timm 1.0.31, data/readers/class_map.py"),
    FilePlace((r"index_to_name\.json", r"idx_to_name\.json"), "classes",
              "TorchServe", "TorchServe, default_handlers.md"),
    FilePlace((r"class_indices\.(json|txt)",), "classes", "Keras",
              "Keras, DirectoryIterator.class_indices"),
    FilePlace((r"(classes|labels?|class_?names|categories|names|class_?list|vocab)"
               r"\.(txt|json|ya?ml|csv)",), "classes",
              "training scripts, labelling tools, Teachable Machine, Edge Impulse",
              "one name a line, or JSON"),
    FilePlace((r".*\.names",), "classes", "Darknet: obj.names", "one name a line"),
    FilePlace((), "classes", "training scripts that name it by words of their own",
              "names like these in public repositories",
              frozenset(("class", "classes", "classnames", "classname", "classlist", "classmap",
                         "cls", "label", "labels", "labelmap", "labelnames", "category",
                         "categories", "species", "breeds", "synset", "synsets", "target",
                         "targets", "vocab")),
              ("txt", "json", "yaml", "yml", "csv", "pbtxt", "labels")),
    FilePlace((), "settings", "training scripts that name it by words of their own",
              "names like these in public repositories",
              frozenset(("config", "configs", "configuration", "cfg", "args", "arguments", "opt",
                         "opts", "options", "hparams", "hyp", "hyperparameters", "params",
                         "parameters", "settings", "preprocess", "preprocessing", "preprocessor",
                         "transform", "transforms", "norm", "normalize", "normalization",
                         "normalisation", "stats", "std", "meta", "metadata", "info", "inference",
                         "infer", "export", "deploy", "deployment", "model", "classifier")),
              ("json", "yaml", "yml")),
    FilePlace((r"readme\.md",), "front matter", "the Hugging Face hub",
              "Hugging Face hub, model cards"),
)  # fmt: skip


def plain_key(key: object) -> str:
    """A key without case, '_', '-' and spaces, as tools differ in these alone."""
    return re.sub(r"[\W_]", "", str(key)).lower()


_BY_KEY = {plain_key(key): place.fact for place in KEYS for key in place.keys}
_ORDER = {plain_key(key): index for index, place in enumerate(KEYS) for key in place.keys}


def is_known(key: object) -> bool:
    """Whether a key is in the table."""
    return plain_key(key) in _BY_KEY


def find_keys(keys: object, fact: FactName) -> list[object]:
    """Keys of a mapping that state a fact, in the table's order."""
    found = [key for key in list(keys) if _fact_of(key) == fact]  # type: ignore[call-overload]
    return sorted(found, key=lambda key: _ORDER.get(plain_key(key), len(_ORDER)))


def _fact_of(key: object) -> str | None:
    return _BY_KEY[plain_key(key)] if is_known(key) else fact_of_words(key)


def is_file_of(place: FilePlace, name: str, stem: str) -> bool:
    """Whether a file beside the checkpoint `stem` is one of a place."""
    if place.words and name.lower().rpartition(".")[2] in place.suffixes:
        around = _AROUND if place.holds == "classes" else _AROUND_SETTINGS
        return is_named_by(name, stem, place.words, around)
    return any(
        re.fullmatch(pattern.replace("{stem}", re.escape(stem.lower())), name.lower())
        for pattern in place.patterns
    )
