/* What a reader did to the page that the server wrote (opened, scrolled, focused, typed) is done again to the one that scripts draw. */
(() => {
  'use strict';
  const board = window.townboard;
  const PLACES = '[id]:not([id^="_"]),[data-kpi],[data-alarm],[data-feed],[data-chart],[data-asset-row]';
  const ROOTS = ['first', 'react-entry-point'], PATIENCE_MS = 8000, SCROLLS = 'div,ul,ol,section,pre', FIELDS = 'input,select,textarea';
  let waiting = [], until = 0, first = null, lastly = 0;

  // ---- the same element in both drawings: by what stands around it and what it says, then by its place among equals -----
  const placed = (node) => { const {kpi, alarm, feed, chart, assetRow} = node.dataset; return `${node.tagName} ${node.id || kpi || alarm || feed || chart || assetRow}`; };
  const said = (node) => node.getAttribute('href') || node.getAttribute('name') || (/^(DETAILS|BUTTON)$/.test(node.tagName) ? (node.querySelector('summary') || node).textContent : '');
  const sign = (node) => { const place = node.parentElement?.closest(PLACES); return `${place && !ROOTS.includes(place.id) ? placed(place) : ''} > ${node.tagName} ${said(node)}`; };
  /* All elements of these tags by what they are, in their order: one walk, however many are looked for. */
  const byName = (root, tags) => {
    const found = new Map();
    for (const node of root.querySelectorAll(tags)) { const key = `${node.tagName} ${sign(node)}`; if (found.has(key)) found.get(key).push(node); else found.set(key, [node]); }
    return found;
  };

  // ---- what was done --------------------------------------------------------------------------------------------------
  const changed = (field) => field.type === 'checkbox' || field.type === 'radio' ? field.checked !== field.defaultChecked
    : field.options ? [...field.options].some((o) => o.selected !== o.defaultSelected) && field.value !== ([...field.options].find((o) => o.defaultSelected) || field.options[0])?.value
      : field.value !== field.defaultValue;
  const fill = (field, {value, checked}) => {
    const kind = {SELECT: HTMLSelectElement, TEXTAREA: HTMLTextAreaElement}[field.tagName] || HTMLInputElement;
    if (field.type === 'checkbox' || field.type === 'radio') { if (field.checked !== checked) field.click(); return; }
    Object.getOwnPropertyDescriptor(kind.prototype, 'value').set.call(field, value);       // React looks at its own setter
    for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, {bubbles: true}));
  };
  const focus = (node, chosen) => { node.focus({preventScroll: true}); if (chosen) try { node.setSelectionRange(...chosen); } catch { /* numbers and days have none */ } };
  const deeds = () => {
    const done = [], found = [], note = (node, again) => done.push([node, again]);
    for (const box of first.querySelectorAll('details')) { const {open} = box; note(box, (other) => { if (other.open !== open) other.open = open; }); }
    for (const field of first.querySelectorAll(FIELDS)) if (changed(field)) { const {value, checked} = field; note(field, (other) => fill(other, {value, checked})); }
    for (const box of first.querySelectorAll(SCROLLS)) {
      const {scrollTop, scrollLeft} = box;
      if (scrollTop || scrollLeft) note(box, (other) => other.scrollTo({top: scrollTop, left: scrollLeft, behavior: 'instant'}));
    }
    const active = document.activeElement;
    if (first.contains(active)) { const chosen = active.selectionStart === null || active.selectionStart === undefined ? null : [active.selectionStart, active.selectionEnd]; note(active, (other) => focus(other, chosen)); }
    const written = done.length ? byName(first, [...new Set(done.map(([node]) => node.tagName))].join()) : null;
    for (const [node, again] of done) { const key = `${node.tagName} ${sign(node)}`; found.push({tag: node.tagName, key, nth: written.get(key).indexOf(node), again}); }
    return found;
  };

  /* What is not drawn yet is tried again with every part that comes, until the reader goes on by hand. */
  const again = () => {
    if (!waiting.length && !lastly) return;
    if (performance.now() > until) { waiting = []; lastly = 0; return; }
    const drawn = waiting.length ? byName(document.getElementById('react-entry-point'), [...new Set(waiting.map((one) => one.tag))].join()) : null;
    waiting = waiting.filter((one) => { const other = drawn.get(one.key)?.[one.nth]; if (other) one.again(other); return !other; });
    if (scrollY < lastly) scrollTo({top: lastly, behavior: 'instant'});
    if (scrollY >= lastly - 1) lastly = 0;
  };
  for (const kind of ['pointerdown', 'keydown', 'wheel', 'touchmove']) addEventListener(kind, () => { until = 0; }, {passive: true});

  /* A list that is folded out, or a pointer that is down, would be torn away. */
  let held = false, waitedFrom = 0;
  for (const [kind, down] of [['pointerdown', true], ['pointerup', false], ['pointercancel', false]]) addEventListener(kind, () => { held = down; board.soon?.(); }, {passive: true});
  board.inHand = (node) => {
    const busy = held || (document.activeElement?.tagName === 'SELECT' && node.contains(document.activeElement));
    waitedFrom = busy ? waitedFrom || performance.now() : 0;
    return busy && performance.now() - waitedFrom < PATIENCE_MS;
  };
  /* The style sheets that the written page names stay when it goes: named in the head as well, and there. */
  board.dressed = (node) => {
    for (const link of node.querySelectorAll('link[rel=stylesheet]:not([data-kept])')) {
      const kept = link.cloneNode();
      link.dataset.kept = 'yes';
      kept.addEventListener('load', () => board.dressPage());
      kept.addEventListener('error', () => { kept.remove(); delete link.dataset.kept; });
      kept.dataset.sheet = 'kept';
      document.head.append(kept);
    }
    return [...document.querySelectorAll('head link[data-sheet]')].every((link) => link.sheet);
  };
  board.handOver = (written) => {
    first = written;
    waiting = deeds();
    lastly = scrollY;
    until = performance.now() + PATIENCE_MS;
    board.carryCharts?.(first, document.getElementById('react-entry-point'));
    first.remove();
    document.body.classList.add('ready');
    board.badge?.();
    again();
  };
  board.handAgain = again;
})();
