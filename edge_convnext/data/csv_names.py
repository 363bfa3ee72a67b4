"""What people call the columns of a list of images: one table.

Seen in exports of Kaggle, Roboflow, Label Studio, CVAT, Teachable Machine, fastai, AutoML, and
in the CSVs of GTSRB, HAM10000, Hugging Face's imagefolder.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

__all__ = ["Role", "is_index_name", "is_path_name", "rank_name"]

Role = Literal["path", "label", "split", "valid", "test", "train", "group", "person", "sha256"]

# Letters and digits alone, lower case. The first of a role that a header has is the one taken.
_NAMES: dict[Role, str] = {
    "path": "path filepath imagepath imgpath imagefilepath relativepath relpath fullpath abspath "
    "localpath filename fname imagefilename imgfilename imagefile imgfile imagename imgname file "
    "image img images imgs photo picture pic filenames files filepaths paths imagepaths uri src "
    "location gcsfilepath imageuri imageid imgid photoid fileid pictureid "
    "datei dateiname dateipfad pfad bild bilddatei fichier nomfichier chemin archivo ruta imagen "
    "arquivo caminho imagem percorso immagine файл путь изображение 文件 文件名 路径 图片 画像 id",
    "label": "label labels class classname classes category categoryname target classlabel "
    "labelname imagelabel y species speciesname breed variety cultivar diagnosis disease dx tag "
    "tags groundtruth gt truth annotation choice signname classid labelid classidx labelidx "
    "classindex labelindex classnumber categoryid targetid targets labelstr labeltext grade level "
    "type kind emotion scene condition status finding outcome letter digit character cls lbl "
    "klasse kategorie étiquette etiquette classe catégorie etiqueta clase categoría categoria "
    "rótulo rotulo etichetta категория класс метка 标签 类别 类 ラベル クラス",
    "split": "split splits datasplit traintest trainvaltest traintestsplit set subset partition "
    "phase usage fold folds dataset mode stage role purpose kfold foldid cvfold menge teilmenge "
    "aufteilung ensemble conjunto partición particao partição insieme выборка 数据集 集合",
    "valid": "isvalid isval isvalidation validation valid val isdev iseval",
    "test": "istest istesting test",
    "train": "istrain istraining istrainingimage istrainingimg istrainimage train",
    "group": "group groups groupid",
    "person": "patient patientid subject subjectid lesionid personid individualid caseid leafid "
    "plantid videoid sessionid donorid",
    "sha256": "sha256",
}
_INDEX = frozenset(("", "unnamed0", "unnamed01", "index", "idx", "no", "nr", "row", "rowid"))
_RANKS: dict[Role, dict[str, int]] = {
    role: {name: place for place, name in enumerate(names.split())}
    for role, names in _NAMES.items()
}


def rank_name(role: Role, name: str) -> int | None:
    """How much a column's name speaks for a role, 0 the most; None: not at all."""
    return _RANKS[role].get(_letters(name))


def is_path_name(name: str) -> bool:
    """Whether a column's name is one for image files."""
    return rank_name("path", name) is not None


def is_index_name(name: str) -> bool:
    """Whether a column merely numbers the rows, as pandas writes it."""
    return _letters(name) in _INDEX


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).lower())
