"""Pictures of workflows: valid XML, nothing hidden behind a box, and nothing of the user's taken for markup."""

import re
import time
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_app.drawing import Drawn, mermaid, svg
from workflows_app.drawing.drawn import LOOKS
from workflows_app.drawing.layers import Spot, crossings, layered
from workflows_app.drawing.lettering import shortened, width_of
from workflows_app.drawing.lines import course
from workflows_app.drawing.places import BEND, BOX, GAP, place, spread

NS = "{http://www.w3.org/2000/svg}"
STATES = list(LOOKS)
HOSTILE = "<script>alert(1)</script>\"'&]]>--> \x00\x0b\ud800\u202e{{x}} %%{init}%% `a` #1; [y](javascript:z)\n**b**"


def drawn(id, *needs, name=None, type="agent", status="pending"):
    return Drawn(id, name or id.title(), type, status, needs)


DIAMOND = [
    drawn("top", status="completed"),
    drawn("left", "top"),
    drawn("right", "top"),
    drawn("join", "left", "right"),
]


def parsed(steps):
    return ElementTree.fromstring(svg(steps).encode())


def texts(root, of):
    return [found.text for found in root.iter(f"{NS}text") if found.get("class") == of]


def titles(root):
    return [found.text for found in root.iter(f"{NS}title")][1:]


# -- The layout


def rows(steps):
    layers = layered(steps)
    return {spot.step.id: spot.row for spot in layers.spots if spot.step}


def test_each_step_is_below_all_it_depends_on():
    steps = [drawn("c", "b", "a"), drawn("a"), drawn("b", "a"), drawn("x"), drawn("d", "x", "c")]
    assert rows(steps) == {"a": 0, "b": 1, "c": 2, "x": 0, "d": 3}


def test_dependencies_that_are_not_there_are_not_drawn():
    layers = layered([drawn("a", "gone", "gone"), drawn("b", "a", "a")])
    assert layers.arrows == [[0, 1]]


def test_lines_that_need_not_cross_do_not():
    steps = [drawn("a"), drawn("b"), drawn("c"), drawn("c1", "c"), drawn("b1", "b"), drawn("a1", "a")]
    assert crossings(layered(steps)) == 0


def test_sorting_never_makes_more_crossings_than_the_templates_order():
    pairs = [("a", "z"), ("a", "x"), ("b", "y"), ("c", "x"), ("c", "z"), ("b", "x")]
    steps = [drawn("a"), drawn("b"), drawn("c")]
    steps += [drawn(end, *(start for start, other in pairs if other == end)) for end in "xyz"]
    assert crossings(layered(steps)) == 1


def test_crossings_are_counted():
    layers = layered([drawn("a"), drawn("b"), drawn("x", "a", "b"), drawn("y", "a", "b")])
    assert crossings(layers) == 1


def test_a_chain_is_straight_and_a_diamond_even():
    layers = layered([drawn("a"), drawn("b", "a"), drawn("c", "b")])
    place(layers)
    assert {spot.x for spot in layers.spots} == {BOX / 2}
    layers = layered(DIAMOND)
    width = place(layers)
    top, left, right, join = (spot.x for spot in layers.spots)
    assert (left, right, width) == (BOX / 2, BOX * 1.5 + GAP, 2 * BOX + GAP)
    assert top == pytest.approx(width / 2, abs=2)
    assert join == pytest.approx(width / 2, abs=2)


def test_a_long_arrow_goes_around_the_boxes_between():
    steps = [drawn("a"), drawn("b", "a"), drawn("c", "b"), drawn("d", "c", "a")]
    layers = layered(steps)
    place(layers)
    (long,) = [way for way in layers.arrows if len(way) > 2]
    assert [layers.spots[at].row for at in long] == [0, 1, 2, 3]
    between = [spot for spot in layers.spots if spot.step and spot.row in (1, 2)]
    for at in long[1:-1]:
        assert all(abs(layers.spots[at].x - box.x) >= BOX / 2 for box in between)


def test_the_bends_of_a_long_arrow_are_one_straight_line():
    steps = [drawn("a"), *(drawn(b, a) for a, b in pairwise("abcde")), drawn("f", "e", "a")]
    layers = layered(steps)
    place(layers)
    (long,) = [way for way in layers.arrows if len(way) > 2]
    assert len(long) == 6
    assert max(layers.spots[at].x for at in long[1:-1]) - min(layers.spots[at].x for at in long[1:-1]) < 1


@pytest.mark.parametrize(
    ("wanted", "weights", "places"),
    [
        ([0, 1_000, 2_000], [1, 1, 1], [0, 1_000, 2_000]),
        ([0, 0, 1_000], [1, 1, 1], [-(BOX + GAP) / 2, (BOX + GAP) / 2, 1_000]),
        # The heavier one gives way by a third of what the lighter one does.
        ([0, 0, 1_000], [3, 1, 1], [-(BOX + GAP) / 4, (BOX + GAP) * 3 / 4, 1_000]),
        ([50, 0, -50], [1, 2, 1], [-(BOX + GAP), 0, BOX + GAP]),
        ([50, 10, -50], [1, 2, 1], [5 - (BOX + GAP), 5, 5 + BOX + GAP]),
    ],
)
def test_spots_that_would_touch_share_the_room_by_their_weight(wanted, weights, places):
    spots = [Spot(0, step) for step in DIAMOND[:3]]
    spread([0, 1, 2], spots, wanted, weights)
    assert [spot.x for spot in spots] == pytest.approx(places)


def test_long_arrows_go_without_bends_where_all_together_would_have_too_many(monkeypatch):
    monkeypatch.setattr("workflows_app.drawing.layers.MOST_BENDS", 3)
    steps = [drawn("a"), drawn("b", "a"), drawn("c", "b", "a"), drawn("d", "c", "b"), drawn("e", "d", "a")]
    bends = {(way[0], way[-1]): len(way) - 2 for way in layered(steps).arrows}
    assert bends == {(0, 1): 0, (1, 2): 0, (2, 3): 0, (3, 4): 0, (0, 2): 1, (1, 3): 1, (0, 4): 0}
    monkeypatch.setattr("workflows_app.drawing.layers.MOST_BENDS", 5)
    assert {len(way) - 2 for way in layered(steps).arrows} == {0, 1, 3}


EDGES = st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=14)


@settings(max_examples=60, deadline=None)
@given(EDGES)
def test_no_two_spots_overlap_and_every_picture_is_valid(bits):
    steps = [drawn(f"s{at}", *(f"s{n}" for n in range(at) if mask >> n & 1)) for at, mask in enumerate(bits)]
    layers = layered(steps)
    width = place(layers)
    for row in layers.rows:
        spots = [layers.spots[at] for at in row]
        for before, after in pairwise(spots):
            room = ((BEND if before.step is None else BOX) + (BEND if after.step is None else BOX)) / 2
            assert after.x - before.x >= room + GAP - 0.01
        assert spots[0].x >= BEND / 2 - 0.01
        assert spots[-1].x <= width
    for way in layers.arrows:
        assert [layers.spots[at].row for at in way] == list(
            range(layers.spots[way[0]].row, layers.spots[way[-1]].row + 1)
        )
    root = parsed(steps)
    assert len(titles(root)) == len(steps)


@pytest.mark.parametrize(
    "steps",
    [
        [drawn(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(1_000)],
        [drawn(f"s{n}", *(["s0", f"s{n - 1}"] if n else [])) for n in range(1_000)],
        [drawn(f"s{n}", *(f"s{m}" for m in range(40) if n >= 40)) for n in range(1_000)],
    ],
    ids=["a chain", "all depend on the first", "many lines"],
)
def test_a_thousand_steps_are_drawn_soon(steps):
    began = time.monotonic()
    assert len(titles(parsed(steps))) == 1_000
    assert time.monotonic() - began < 15


# -- The letters


def test_a_line_is_cut_only_where_it_is_too_wide():
    room = width_of("Analyze", 14)
    assert shortened("Analyze", 14, room) == "Analyze"
    assert shortened("Analyzed", 14, room) == "Analy…"
    assert width_of("lil", 10) < width_of("eee", 10) < width_of("EEE", 10) < width_of("MMM", 10)
    assert width_of("日", 10) == width_of("M", 10) == 9.8


@given(st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_a_line_fits_its_room(text):
    assert width_of(shortened(text, 14, 100), 14) <= 102


# -- The SVG


def courses(steps):
    groups = [found for found in parsed(steps).iter(f"{NS}g") if found.get("marker-end")]
    return [found.get("d") for group in groups for found in group]


def test_arrows_go_from_the_bottom_of_a_box_to_the_top_of_the_next():
    assert courses([drawn("a"), drawn("b", "a")]) == ["M120.0 64.0V107.0"]
    assert courses([drawn("a"), drawn("b", "a"), drawn("c", "b")]) == ["M120.0 64.0V107.0", "M120.0 178.0V221.0"]


def test_a_long_arrow_bends_between_the_rows_and_is_straight_beside_a_box():
    layers = layered([drawn("a"), drawn("b", "a"), drawn("c", "b", "a")])
    place(layers)
    (way,) = [[layers.spots[at] for at in way] for way in layers.arrows if len(way) > 2]
    start, bend, end = (f"{spot.x:.1f}" for spot in way)
    assert course(way) == (
        f"M{start} 64.0C{start} 89.0 {bend} 89.0 {bend} 114.0V178.0C{bend} 199.5 {end} 199.5 {end} 221.0"
    )


def test_the_legend_is_below_the_boxes_and_inside_the_picture():
    for steps in (DIAMOND, [drawn("a")]):
        root = parsed(steps)
        graph, legend = (found for found in root.findall(f"{NS}g"))
        shift, down = (float(found.get("transform").split()[1].rstrip(")")) for found in (graph, legend))
        lowest = max(float(box.get("transform").split()[1].rstrip(")")) for box in graph.findall(f"{NS}g[@transform]"))
        assert shift + lowest + 64 < down
        last = max(float(entry.get("transform").split()[1].rstrip(")")) for entry in legend)
        assert down + last + 20 < int(root.get("height")) <= down + last + 60


def test_shows_every_step_with_its_id_type_and_state():
    steps = [
        drawn("analyze_requirements", name="Analyze Requirements", status="completed"),
        drawn("ok", "analyze_requirements", name="Ship it?", type="approval", status="waiting"),
    ]
    root = parsed(steps)
    assert texts(root, "name") == ["Analyze Requirements", "Ship it?"]
    assert texts(root, "id") == ["analyze_requirements", "ok"]
    assert texts(root, "kind") == ["agent", "approval"]
    assert titles(root) == [
        "Analyze Requirements (analyze_requirements): agent, completed",
        "Ship it? (ok): approval, waiting",
    ]
    assert root.find(f"{NS}title").text == "A workflow of 2 steps: 1 waiting, 1 completed"


def test_has_a_size_a_white_ground_and_a_legend_of_all_states():
    root = parsed(DIAMOND)
    width, height = int(root.get("width")), int(root.get("height"))
    assert root.get("viewBox") == f"0 0 {width} {height}"
    assert (width, height) > (500, 300)
    assert root.find(f"{NS}rect").get("fill") == "#ffffff"
    assert texts(root, "legend") == STATES
    narrow = parsed([drawn("a")])
    assert texts(narrow, "legend") == STATES


@pytest.mark.parametrize("status", STATES)
def test_each_state_has_colours_and_a_sign_of_its_own(status):
    picture = svg([drawn("a", status=status)]).split('class="name"')[0].split("</defs>")[1]
    look = LOOKS[status]
    assert f'fill="{look.fill}" stroke="{look.line}"' in picture
    assert ('stroke-dasharray="5 4"' in picture) == look.dashed
    assert len({other.sign for other in LOOKS.values()}) == len({other.line for other in LOOKS.values()}) == len(STATES)


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_letters_and_signs_can_be_read(look):
    # WCAG 2.2: 4.5 for letters, 3 for signs.
    for ink, least in (("#0f172a", 7), ("#475569", 4.5), (look.line, 3)):
        assert (luminance(look.fill) + 0.05) / (luminance(ink) + 0.05) >= least


def test_arrows_to_what_does_not_run_are_faint():
    steps = [drawn("a"), drawn("b", "a", status="skipped"), drawn("c", "a"), drawn("d", "a", "b")]
    groups = [found for found in parsed(steps).iter(f"{NS}g") if found.get("marker-end")]
    assert [(found.get("marker-end"), len(found)) for found in groups] == [("url(#faint)", 1), ("url(#dark)", 3)]


def test_long_names_are_cut_and_told_whole_in_the_title():
    name = "A name that is far too long for any box " * 4
    root = parsed([drawn("x" * 64, name=name), drawn("b", name="日本語" * 30)])
    assert all(shown.endswith("…") and len(shown) < 40 for shown in texts(root, "name"))
    assert name.strip() in titles(root)[0]
    assert texts(root, "id")[0].endswith("…")


def test_nothing_of_the_users_is_markup():
    root = parsed([Drawn(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,))])
    names = {found.tag.removeprefix(NS) for found in root.iter()}
    assert names == {"svg", "title", "style", "defs", "marker", "path", "rect", "g", "text"}
    assert "<script>alert(1)</script>" in titles(root)[0]
    assert not re.search(r"[\x00\x0b\ud800\u202e]", titles(root)[0])
    for found in root.iter():
        assert not any(name.lower().startswith("on") or "href" in name for name in found.attrib)


def test_a_workflow_without_steps_is_a_legend():
    root = parsed([])
    assert root.find(f"{NS}title").text == "A workflow without steps"
    assert texts(root, "legend") == STATES


# -- Mermaid


def test_mermaid_has_boxes_arrows_and_colours():
    steps = [drawn("a", name="First", status="completed"), drawn("b", "a", type="condition", status="skipped")]
    assert mermaid(steps) == (
        "flowchart TD\n"
        '    s0["First<br/><small>a: completed</small>"]:::completed\n'
        '    s1{"B<br/><small>b: skipped</small>"}:::skipped\n'
        "    s0 -.-> s1\n"
        "    classDef completed fill:#dff6e6,stroke:#15803d,color:#0f172a\n"
        "    classDef skipped fill:#f5f3f9,stroke:#6d5f86,color:#0f172a,stroke-dasharray:5 4\n"
    )


def test_each_type_has_a_shape_of_its_own():
    shapes = {mermaid([drawn("a", type=kind)]).splitlines()[1].split('"')[0] for kind in ("agent", "approval", "wait")}
    shapes |= {
        mermaid([drawn("a", type=kind)]).splitlines()[1].split('"')[0] for kind in ("http", "condition", "foreach")
    }
    assert len(shapes) == 6


def test_nothing_of_the_users_means_anything_to_mermaid():
    text = mermaid([Drawn(HOSTILE, HOSTILE, HOSTILE, HOSTILE, ())])
    label = text.splitlines()[1].removeprefix('    s0["').removesuffix('"]:::pending')
    inside = label.replace("<br/><small>", "").replace("</small>", "")
    assert set(re.sub(r"#\d+;", "", inside)) <= set("abcdefghijklmnopqrstuvwxyz1 .,-_!?:")
    assert "#60;script#62;" in label
    assert len(text.splitlines()) == 3


def test_an_empty_workflow_is_an_empty_flowchart():
    assert mermaid([]) == "flowchart TD\n"
