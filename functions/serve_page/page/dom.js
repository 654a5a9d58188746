// Elements from a description, and a description onto the elements that are there: what is typed, focused
// or scrolled to stays. A description is made anew at each change; nothing keeps one.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "disabled", "indeterminate", "open", "hidden", "selected"]);

let disabledInHand = null;

/**
 * Describe an element. `on…` are listeners, `key` tells siblings apart, `ref` is called with the element once it is
 * in the page. Children are descriptions, texts and numbers; null, false and "" are left out, lists are flattened.
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: tidy(children) };
}

/** Make what is in `container` as described, changing as little as can be. */
export function render(container, ...children) {
  const refs = [];
  patchChildren(container, tidy(children), refs);
  for (const [ref, element] of refs) ref(element);
}

function tidy(children) {
  const kept = children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false && one !== "");
  return kept.map((one) => (typeof one === "object" ? one : String(one)));
}

function patchChildren(parent, wanted, refs) {
  const keys = new Set(wanted.map((one) => one.props?.key).filter((key) => key !== undefined));
  const keyed = new Map();
  for (const node of [...parent.childNodes]) {
    const key = keyOf(node);
    if (key === undefined) continue;
    if (keys.has(key)) keyed.set(key, node);
    else drop(node);
  }
  let at = parent.firstChild;
  let left = parent.childNodes.length;
  wanted.forEach((one, n) => {
    const key = one.props?.key;
    if (key === undefined) {
      // Where more is there than is wanted, what does not fit is what has gone, and what comes after it stays itself.
      while (at && keyOf(at) === undefined && !fits(at, one) && left > wanted.length - n) {
        const gone = at;
        at = at.nextSibling;
        drop(gone);
        left -= 1;
      }
    }
    const node = key === undefined ? at : keyed.get(key);
    if (!node || !fits(node, one)) {
      parent.insertBefore(make(one, parent, refs), at);
      return;
    }
    if (node === at) at = at.nextSibling;
    else move(parent, node, at);
    left -= 1;
    patch(node, one, refs);
  });
  while (at) {
    const gone = at;
    at = at.nextSibling;
    drop(gone);
  }
}

/** What is moved keeps its focus, and a frame what it shows, in browsers that can. */
function move(parent, node, before) {
  if (parent.moveBefore) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

const keyOf = (node) => node.described?.props.key;

/** Take a node away. A dialogue is closed first: it gives focus back to where it was opened. */
function drop(node) {
  if (node.localName === "dialog" && node.open) node.close();
  node.remove();
}

function fits(node, one) {
  if (typeof one === "string") return node.nodeType === Node.TEXT_NODE;
  return node.described?.tag === one.tag && keyOf(node) === one.props.key;
}

function make(one, parent, refs) {
  if (typeof one === "string") return document.createTextNode(one);
  const drawn = one.tag === "svg" || (parent.namespaceURI === SVG && parent.localName !== "foreignObject");
  const element = drawn ? document.createElementNS(SVG, one.tag) : document.createElement(one.tag);
  element.described = { tag: one.tag, props: { key: one.props.key } };
  if (one.props.ref) refs.push([one.props.ref, element]);
  patch(element, one, refs);
  return element;
}

function patch(node, one, refs) {
  if (typeof one === "string") {
    if (node.data !== one) node.data = one;
    return;
  }
  const before = node.described.props;
  for (const name of Object.keys(before)) if (!(name in one.props)) set(node, name, undefined);
  // After its children: a select's value is one of its options.
  patchChildren(node, one.children, refs);
  for (const [name, value] of Object.entries(one.props)) {
    if (value !== before[name] || name === "value" || name === "checked") set(node, name, value);
  }
  node.described = one;
}

function set(node, name, value) {
  if (name === "key" || name === "ref") return;
  if (name.startsWith("on")) node[name] = value ?? null;
  else if (name === "value" && (value ?? null) === null) clear(node);
  else if (PROPERTIES.has(name) && name in node) {
    const wanted = value ?? false;
    if (node[name] === wanted) return;
    if (name === "disabled" && wanted && document.activeElement === node) disabledInHand = node;
    node[name] = wanted;
    if (name === "disabled" && !wanted && disabledInHand === node) backInHand(node);
  } else if (value === undefined || value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/** A field without a value is empty, and a bar without one moves on its own. */
function clear(node) {
  if (["input", "textarea"].includes(node.localName)) node.value = "";
  else node.removeAttribute("value");
}

/** What is disabled loses focus: a button that is busy for a moment has it again, unless something else has it by then. */
function backInHand(node) {
  disabledInHand = null;
  if (document.activeElement === document.body) node.focus({ preventScroll: true });
}
