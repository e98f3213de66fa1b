#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes docs/elements/NAME.md for each element: its documentation comments, and what the element tells of itself.

    meson devenv -C BUILD docs/element_reference.py

The comments are gtk-doc's: a SECTION block for the element and a block for each property that needs more than its
one-line description. `pages()` is for the test that finds pages which were not written again.
"""

import pathlib
import re

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GObject, Gst  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs" / "elements"
ELEMENTS = ["rtmpsink", "rtmpsrc", "flvchunk", "flvunchunk"]
# Properties of these are documented by GStreamer.
BASES = ["GstObject", "GstElement", "GstBaseSrc", "GstPushSrc", "GstBaseSink", "GstAggregator"]


def comments():
    """Returns the text of each documentation comment of the plugin by the symbol that it begins with."""
    found = {}
    for path in sorted((ROOT / "gst" / "rtmp").glob("*.cpp")):
        for block in re.findall(r"/\*\*\n(.*?)\*/", path.read_text(encoding="utf-8"), re.S):
            lines = [re.sub(r"^ *\* ?", "", line) for line in block.splitlines()]
            symbol = lines[0].strip().rstrip(":")
            found[symbol] = "\n".join(line for line in lines[1:] if not line.startswith("@")).strip()
    return found


def markdown(text):
    """Turns gtk-doc's marks into Markdown's."""
    text = re.sub(r"\|\[\n(.*?)\n\]\|", r"```sh\n\1\n```\n", text, flags=re.S)
    text = re.sub(r"#\w+:([\w-]+)", r"`\1`", text)
    return re.sub(r"#(\w+)", r"`\1`", text)


def value_text(spec, value):
    if value is None:
        return "unset"
    if spec.value_type.is_a(GObject.TYPE_ENUM):
        return value.value_nick
    if spec.value_type.is_a(GObject.TYPE_FLAGS):
        single = [nick for nick, bits in zip(value.value_nicks, flag_bits(value)) if bits.bit_count() == 1]
        return "+".join(single) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"`{value}`" if isinstance(value, str) else str(value)


def flag_bits(value):
    return [bits for bits in sorted(type(value).__flags_values__) if bits & int(value) == bits]


def range_text(spec):
    if spec.value_type.is_a(GObject.TYPE_ENUM):
        return ", ".join(value.value_nick for value in spec.enum_class.__enum_values__.values())
    if hasattr(spec, "minimum") and spec.value_type not in (GObject.TYPE_BOOLEAN, GObject.TYPE_STRING):
        return f"{spec.minimum} to {spec.maximum}"
    return ""


def when_text(spec):
    if not spec.flags & GObject.ParamFlags.WRITABLE:
        return "read only"
    for flag, text in ((Gst.PARAM_MUTABLE_PLAYING, "at any time"), (Gst.PARAM_MUTABLE_PAUSED, "up to PAUSED"),
                       (Gst.PARAM_MUTABLE_READY, "in NULL and READY")):
        if int(spec.flags) & flag:
            return text
    return "at any time"


def property_text(spec, text):
    facts = [spec.value_type.name]
    # A structure of what is going on has no default worth a word.
    if spec.value_type.name != "GstStructure":
        facts.append(f"default {value_text(spec, spec.default_value)}")
    facts += [fact for fact in (range_text(spec), f"set {when_text(spec)}".replace("set read", "read")) if fact]
    return f"### {spec.name}\n\n{markdown(text or spec.blurb.rstrip('.') + '.')}\n\n*{'; '.join(facts)}*\n"


def pads_text(factory):
    out = []
    # The registry does not keep their order.
    for template in sorted(factory.get_static_pad_templates(), key=lambda each: each.name_template):
        presence = {"always": "always", "request": "on request", "sometimes": "sometimes"}
        caps = "\n".join(f"    {caps}" for caps in template.get_caps().to_string().split("; "))
        out.append(f"### {template.name_template}\n\n{template.direction.value_nick}, "
                   f"{presence[template.presence.value_nick]}\n\n{caps}\n")
    return "\n".join(out)


def pad_properties_text(element, texts):
    """Describes the properties that the pads' own types have."""
    types = {template.get_property("gtype") for template in element.get_pad_template_list()}
    out = []
    for gtype in sorted((each for each in types if each.name.startswith(type(element).__gtype__.name)),
                        key=lambda each: each.name):
        specs = [spec for spec in GObject.list_properties(gtype) if spec.owner_type == gtype]
        out += [property_text(spec, texts.get(f"{gtype.name}:{spec.name}")) for spec in specs]
    return ["## Pad properties\n", *out] if out else []


def page(name, texts):
    factory = Gst.ElementFactory.find(name)
    element = factory.create(None)
    gtype = type(element).__gtype__
    own = [spec for spec in element.list_properties()
           if spec.owner_type.name not in BASES or f"{gtype.name}:{spec.name}" in texts]
    out = [f"# {name}\n", f"{factory.get_metadata('description')}. Rank {factory.get_rank()}, "
           f"class {factory.get_metadata('klass')}.\n",
           markdown(texts[f"SECTION:element-{name}"]) + "\n",
           "## Pad templates\n", pads_text(factory), *pad_properties_text(element, texts),
           f"## Properties\n\nThose of {', '.join(parents(gtype))} and:\n"]
    out += [property_text(spec, texts.get(f"{gtype.name}:{spec.name}")) for spec in own]
    out += signals_text(gtype, texts)
    return "\n".join(out)


def signals_text(gtype, texts):
    names = GObject.signal_list_names(gtype)
    out = ["## Signals\n"] if names else []
    for name in sorted(names):
        query = GObject.signal_query(name, gtype)
        handler = f"{query.return_type.name} handler ({', '.join(each.name for each in query.param_types)})"
        out.append(f"### {name}\n\n{markdown(texts[f'{gtype.name}::{name}'])}\n\n*{handler}*\n")
    return out


def parents(gtype):
    while gtype.parent.name not in ("GObject", "GInitiallyUnowned"):
        gtype = gtype.parent
        yield gtype.name


def pages():
    """Returns each page's text by the path that it belongs to."""
    Gst.init(None)
    texts = comments()
    return {PAGES / f"{name}.md": page(name, texts) for name in ELEMENTS}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
