"""The phrase of a text that a concept belongs to."""

from pnpvideo.words.phrases import extend_to_phrase, noun_after


def test_a_concept_in_its_phrase() -> None:
    text = "a photo of a red metal ball on grass at sunset"
    assert extend_to_phrase(text, "ball", "cube") == ("red metal ball", "red metal cube")
    assert extend_to_phrase(text, "red", "blue") == ("red metal ball", "blue metal ball")
    assert extend_to_phrase(text, "metal", "glass") == ("red metal ball", "red glass ball")
    assert extend_to_phrase(text, "at sunset", "at night") == ("at sunset", "at night")
    assert extend_to_phrase(text, "house", "tree") == ("house", "tree")
    assert extend_to_phrase("all is red", "red", "blue") == ("red", "blue")
    assert extend_to_phrase("a ball that is red on top", "red", "blue") == ("red", "blue")


def test_the_noun_that_an_adjective_describes() -> None:
    assert noun_after("a photo of a red ball on grass", "red") == "ball"
    assert noun_after("a Red metal cube, cartoon", "red") == "cube"
    assert noun_after("a ball on grass", "red") == "" == noun_after("all is red", "red")
    assert noun_after("a red and white ball", "red") == "ball" == noun_after("a red, old ball", "red")
    assert noun_after("a ball that is red on a table", "red") == ""
