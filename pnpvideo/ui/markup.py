"""Pieces of the page's HTML. Whatever comes from people or files is escaped here, and nowhere else."""

import mimetypes
from collections.abc import Sequence
from html import escape

from pnpvideo.ui.session import Made
from pnpvideo.ui.work import Tried

_PLAYED = ("video/mp4", "video/webm", "video/quicktime", "video/ogg")
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/apng", "image/bmp")


def media(link: str, name: str) -> str:
    """A picture or a player for a file; of a format that browsers do not show, its name."""
    kind = mimetypes.guess_type(name)[0]
    label = escape(name)
    if kind in _PLAYED:  # a time in the link makes browsers show the first frame
        return f'<video src="{escape(link)}#t=0.001" aria-label="{label}" controls loop muted playsinline></video>'
    if kind in _SHOWN:
        return f'<img src="{escape(link)}" alt="{label}">'
    return f'<p class="plain">{label}: browsers do not show this format</p>'


def source(link: str, name: str) -> str:
    """The clip or picture that was dropped."""
    return f'<figure class="pnp-media pnp-source">{media(link, name)}<figcaption>{escape(name)}</figcaption></figure>'


def results(made: Sequence[Made]) -> str:
    """The latest result large, with its notices, and the earlier ones of the session below."""
    if not made:
        return '<p class="pnp-empty">Results appear here.</p>'
    *earlier, latest = made
    said = "".join(f"<li>{escape(notice)}</li>" for notice in latest.notices)
    notices = f'<ul class="pnp-notices">{said}</ul>' if said else ""
    cards = "".join(_card(each) for each in reversed(earlier))
    history = f'<h3>Earlier in this session</h3><div class="pnp-history">{cards}</div>' if cards else ""
    return f'<div class="pnp-latest">{_card(latest)}</div>{notices}{history}'


def cells(shown: Sequence[str], tried: Sequence[Tried]) -> str:
    """The source's pictures, then each cell as a button with its number, options and pictures."""
    pictures = "".join(f'<img src="{escape(link)}" alt="">' for link in shown)
    first = f'<div class="pnp-cell"><span class="pnp-strip">{pictures}</span><span><b>source</b></span></div>'
    return f'<div class="pnp-cells">{first}{"".join(map(_cell, tried))}</div>'


def comparison(link: str) -> str:
    """The comparison's page, in a frame that can do nothing but run its own scripts."""
    return (
        f'<iframe class="pnp-frame" sandbox="allow-scripts" src="{escape(link)}" title="Comparison" '
        f'allow="fullscreen"></iframe>'
    )


def notice(text: str) -> str:
    """Something that went as it should."""
    return f'<p class="pnp-notice" role="status">{escape(text)}</p>' if text else ""


def problem(text: str) -> str:
    """Something that did not."""
    return f'<p class="pnp-problem" role="alert">{escape(text)}</p>'


def _card(made: Made) -> str:
    name = escape(made.path.name)
    caption = f"<b>{made.number}</b> {escape(made.title)} <small>{made.seconds:.1f} s</small>"
    link = f'<a href="{escape(made.link)}" download="{name}">Download {name}</a>'
    return (
        f'<figure class="pnp-media">{media(made.link, made.path.name)}<figcaption>{caption}{link}</figcaption></figure>'
    )


def _cell(tried: Tried) -> str:
    pictures = "".join(f'<img src="{escape(link)}" alt="">' for link in tried.links)
    values = " · ".join(f"{name.replace('_', ' ')} {text}" for name, text in tried.dials.items())
    says = f"<b>{tried.number}</b> {escape(values)} <small>{tried.seconds:.1f} s</small>"
    return (
        f'<button type="button" class="pnp-cell" data-cell="{tried.number}">'
        f'<span class="pnp-strip">{pictures}</span><span>{says}</span></button>'
    )
