"""Nothing outside of a dataset's folder is read, nothing that is no plain file, and nothing endless."""

from __future__ import annotations

import os
import zipfile

import pytest

from handbench.errors import InvalidError, MissingError
from handbench.layouts.folder import Folder


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "set"
    (root / "rgb/1").mkdir(parents=True)
    (root / "rgb/1/a.jpg").write_bytes(b"inside")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.jpg").write_bytes(b"outside")
    return root


def folder(tree, title="a set"):
    return Folder(tree, title, "https://example.org")


def test_what_is_inside_is_read(tree):
    assert folder(tree).read("rgb/1/a.jpg") == b"inside"
    assert folder(tree).has("rgb/1")
    assert not folder(tree).has("rgb/2")
    assert folder(tree).names("rgb/1", r".*\.jpg") == ["a.jpg"]
    assert folder(tree).names("rgb/1", r".*\.png") == []


def test_the_root_itself_may_be_a_link(tree, tmp_path):
    (tmp_path / "link").symlink_to(tree)
    assert folder(tmp_path / "link").read("rgb/1/a.jpg") == b"inside"


def test_a_link_that_stays_inside_is_followed(tree):
    (tree / "rgb/1/b.jpg").symlink_to("a.jpg")
    (tree / "other").symlink_to(tree / "rgb")
    assert folder(tree).read("rgb/1/b.jpg") == b"inside"
    assert folder(tree).read("other/1/a.jpg") == b"inside"


@pytest.mark.parametrize("way", ["file", "folder", "relative"])
def test_a_link_that_leads_out_is_refused_and_said(tree, tmp_path, way):
    inside = {"file": "rgb/1/b.jpg", "folder": "rgb/2/a.jpg", "relative": "rgb/1/b.jpg"}[way]
    if way == "folder":
        (tree / "rgb/2").symlink_to(tmp_path / "secret")
    else:
        goal = "../../../secret/a.jpg" if way == "relative" else tmp_path / "secret/a.jpg"
        (tree / inside).symlink_to(goal)
    for look in (folder(tree).read, folder(tree).path):
        with pytest.raises(InvalidError, match="leads out of"):
            look(inside)


@pytest.mark.parametrize("inside", ["../secret/a.jpg", "rgb/../../secret/a.jpg", "/etc/passwd", "rgb/1/.."])
def test_a_path_with_two_dots_or_from_the_root_of_the_disk_is_refused(tree, inside):
    if inside.endswith(".."):
        assert folder(tree).path(inside).resolve() == tree / "rgb"
        return
    for look in (folder(tree).read, folder(tree).path):
        with pytest.raises(InvalidError, match="leads out of"):
            look(inside)


def test_what_is_no_plain_file_is_refused_at_once(tree):
    os.mkfifo(tree / "rgb/1/pipe.jpg")
    for inside in ("rgb/1/pipe.jpg", "rgb/1"):
        with pytest.raises(InvalidError):
            folder(tree).read(inside)


def test_a_file_that_is_too_large_is_not_read(tree):
    with open(tree / "rgb/1/a.jpg", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidError, match="more than any such file"):
        folder(tree).read("rgb/1/a.jpg")


def test_what_is_missing_is_named(tree):
    with pytest.raises(MissingError, match=r"rgb/1/c\.jpg does not exist"):
        folder(tree).read("rgb/1/c.jpg")
    with pytest.raises(MissingError, match="rgb/3 does not exist"):
        folder(tree).names("rgb/3", ".*")
    with pytest.raises(MissingError) as error:
        folder(tree / "no")
    assert "example.org" in error.value.hint


def test_an_archive_or_another_file_is_no_folder(tree, tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.jpg", b"x")
    with pytest.raises(InvalidError, match="is an archive") as error:
        folder(tmp_path / "set.zip")
    assert "Unpack it" in error.value.hint
    with pytest.raises(InvalidError, match="not the folder of a set"):
        folder(tree / "rgb/1/a.jpg")
