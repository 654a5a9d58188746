"""dom.js: what is described is what is there, and what a person has in hand stays."""

import pytest
from playwright.sync_api import expect

HOSTILE = "<img src=x onerror=\"fetch('http://elsewhere.test')\"><script>throw 1</script>"


def html(modules):
    return modules.page.locator("#page").inner_html()


def test_a_strangers_text_is_text_wherever_it_stands(modules):
    modules.run("render(page, h('p', { title: given }, given), given)", HOSTILE)
    assert modules.run("return page.querySelectorAll('*').length") == 1
    assert modules.page.locator("p").get_attribute("title") == HOSTILE
    assert modules.page.locator("#page").text_content() == HOSTILE * 2


def test_nothing_is_left_out_and_a_zero_is_not_nothing(modules):
    modules.run("render(page, null, false, undefined, '', 0, [[h('b', {}, 'x')], ['y']])")
    assert html(modules) == "0<b>x</b>y"


@pytest.mark.parametrize("gone", ["null", "undefined", "false", "absent"])
def test_an_attribute_that_is_no_longer_described_goes(modules, gone):
    modules.run("render(page, h('p', { 'aria-busy': true, class: 'a' }))")
    assert html(modules) == '<p aria-busy="" class="a"></p>'
    props = "{}" if gone == "absent" else f"{{ 'aria-busy': {gone}, class: {gone} }}"
    modules.run(f"render(page, h('p', {props}))")
    assert html(modules) == "<p></p>"


def test_a_listener_is_replaced_and_not_added(modules):
    modules.run("""
      globalThis.heard = [];
      for (const name of ["first", "second"]) render(page, h("button", { onclick: () => heard.push(name) }, "Press"));
    """)
    modules.page.get_by_role("button").click()
    assert modules.run("return heard") == ["second"]
    modules.run("render(page, h('button', {}, 'Press'))")
    modules.page.get_by_role("button").click()
    assert modules.run("return heard") == ["second"]


def test_what_is_typed_focused_and_selected_stays_while_all_around_it_changes(modules):
    modules.run("""
      globalThis.state = { text: "" };
      globalThis.draw = (notes) => render(page, notes.map((one) => h("p", {}, one)),
        h("input", { "aria-label": "Name", value: state.text, oninput: (event) => { state.text = event.target.value; draw(["typing"]); } }),
        notes.map((one) => h("small", {}, one)));
      draw([]);
    """)
    box = modules.page.get_by_label("Name")
    box.click()
    modules.page.keyboard.type("a word")
    box.evaluate("(box) => box.setSelectionRange(1, 3)")
    for notes in (["one", "two"], [], ["three"]):
        modules.run("draw(given)", notes)
    assert box.evaluate("(box) => [box.value, box.selectionStart, box.selectionEnd]") == [
        "a word",
        1,
        3,
    ]
    assert box.evaluate("(box) => document.activeElement === box")


def test_a_value_is_the_states_even_where_something_else_was_typed(modules):
    draw = "render(page, h('input', { 'aria-label': 'Name', value: 'ours' }))"
    modules.run(draw)
    modules.page.get_by_label("Name").fill("theirs")
    modules.run(draw)
    assert modules.page.get_by_label("Name").input_value() == "ours"


def test_a_choice_is_made_of_options_that_come_with_it(modules):
    modules.run("""
      render(page, h("select", { "aria-label": "Days", value: "90" }, ["30", "90"].map((one) => h("option", { value: one }, one))));
    """)
    assert modules.page.get_by_label("Days").input_value() == "90"


def test_with_keys_each_element_stays_that_of_its_key(modules):
    modules.run("""
      globalThis.draw = (keys) => render(page, h("h2", {}, "List"), keys.map((key) => h("p", { key }, key)), h("hr"));
      draw(["a", "b", "c"]);
      globalThis.before = Object.fromEntries([...page.querySelectorAll("p")].map((one) => [one.textContent, one]));
    """)
    for keys in ("cab", "b", "xbay", "", "ab"):
        modules.run("draw(given)", [*keys])
        shown = modules.run("return [...page.querySelectorAll('p')].map((one) => one.textContent)")
        assert shown == [*keys]
        assert html(modules).startswith("<h2>List</h2>")
        assert html(modules).endswith("<hr>")
        if keys in {"cab", "b"}:
            assert modules.run(
                "return [...page.querySelectorAll('p')].every((one) => one === before[one.textContent])"
            )


def test_what_goes_from_before_others_leaves_them_themselves(modules):
    modules.run("""
      render(page, h("p", {}, "note"), h("input", { "aria-label": "Name" }), h("hr"));
      page.querySelector("input").focus();
      render(page, h("input", { "aria-label": "Name" }), h("hr"));
    """)
    assert modules.run("return document.activeElement.localName") == "input"
    assert modules.run("return page.childNodes.length") == 2


def test_a_reference_is_given_once_and_when_the_element_is_in_the_page(modules):
    assert modules.run("""
      const told = [];
      for (const text of ["a", "b"]) render(page, h("p", { ref: (element) => told.push(element.isConnected) }, text));
      return told;
    """) == [True]


def test_a_dialogue_that_goes_gives_focus_back_to_where_it_was_opened(modules):
    modules.run("""
      globalThis.draw = (isOpen) => render(page, h("button", { onclick: () => draw(true) }, "Open"),
        isOpen && h("dialog", { key: "dialog", ref: (element) => element.showModal() }, h("button", { onclick: () => draw(false) }, "Close")));
      draw(false);
    """)
    modules.page.get_by_role("button", name="Open").click()
    modules.page.get_by_role("button", name="Close").click()
    assert modules.run("return document.activeElement.textContent") == "Open"
    assert modules.page.get_by_role("dialog").count() == 0


def test_a_drawing_is_of_the_drawings_namespace(modules):
    modules.run("render(page, h('svg', { viewBox: '0 0 4 4' }, h('path', { d: 'M0 0h4' })))")
    assert modules.run("return page.querySelector('path') instanceof SVGPathElement")
    assert modules.page.locator("svg").get_attribute("viewBox") == "0 0 4 4"


def test_what_is_moved_keeps_its_focus(modules):
    modules.run("""
      const draw = (...keys) => render(page, keys.map((key) => h("input", { key, "aria-label": key })));
      draw("a", "b", "c");
      page.childNodes[2].focus();
      draw("c", "a", "b");
    """)
    assert modules.run("return document.activeElement.ariaLabel") == "c"
    modules.run(
        "render(page, ['b', 'a', 'c'].map((key) => h('input', { key, 'aria-label': key })))"
    )
    assert modules.run("return document.activeElement.ariaLabel") == "c"


@pytest.mark.parametrize("none", [None, "undefined"])
def test_a_field_without_a_value_is_empty(modules, none):
    assert modules.run(
        """
        const none = given === "undefined" ? undefined : given;
        const fields = (value) => [h("input", { value }), h("textarea", { value }), h("progress", { value })];
        render(page, fields("1"));
        render(page, fields(none));
        return [...page.childNodes].map((node) => node.value + (node.hasAttribute("value") ? "!" : ""));
        """,
        none,
    ) == ["", "", "0"]


def test_a_button_that_is_busy_for_a_moment_has_focus_again(modules):
    modules.run("""
      globalThis.draw = (disabled) => render(page, h("button", { disabled }, "Save"), h("button", {}, "Other"));
      draw(false);
      page.firstChild.focus();
      draw(true);
    """)
    expect(modules.page.get_by_text("Save")).not_to_be_focused()
    modules.run("draw(false)")
    assert modules.run("return document.activeElement.textContent") == "Save"
    modules.run("draw(true)")
    expect(modules.page.get_by_text("Save")).not_to_be_focused()
    modules.page.get_by_role("button", name="Other").focus()
    modules.run("draw(false)")
    assert modules.run("return document.activeElement.textContent") == "Other"
