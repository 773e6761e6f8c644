from io import BytesIO

from PIL import Image

from cqox.exports.raster import png_size


def test_the_size_is_that_of_the_picture():
    written = BytesIO()
    Image.new("RGB", (321, 45)).save(written, "png")
    assert png_size(written.getvalue()) == (321, 45)
