/* Parts that the server writes, written anew when the board says that something happened; nothing moves under whoever reads or types. */
(() => {
  'use strict';
  const board = window.townboard, parts = () => document.querySelectorAll('[data-fresh][id]');
  if (!board || !parts().length) return;
  const LEAST = 2000, HAND = 3000;
  let heard = null, askedAt = Date.now(), asking = false, touchedAt = 0, touched = null;
  for (const kind of ['pointermove', 'pointerdown', 'keydown', 'wheel', 'touchmove']) addEventListener(kind, (e) => { touchedAt = Date.now(); touched = e.target; }, {passive: true});

  const happened = () => JSON.stringify([board.state.alarms.map((a) => [a.id, a.state, a.done_at]), Object.values(board.state.feeds).map((f) => f.state)]);
  const inHand = (part) => {
    const chosen = getSelection();
    return part.contains(document.activeElement) || (Date.now() - touchedAt < HAND && touched instanceof Node && part.contains(touched))
      || (chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode));
  };
  const opened = (part) => [...part.querySelectorAll('details')].map((box) => [`${box.closest('[id]')?.id}|${box.querySelector('summary')?.textContent}`, box]);
  const put = (part, fresh) => {
    if (part.outerHTML === fresh.outerHTML) return;
    const open = new Map(opened(part).map(([name, box]) => [name, box.open]));
    for (const [name, box] of opened(fresh)) if (open.has(name)) box.open = open.get(name);
    part.replaceWith(document.importNode(fresh, true));
  };
  const read = async () => {
    asking = true;
    askedAt = Date.now();
    try {
      const url = new URL(location.href);
      for (const name of ['did', 'n', 'tested']) url.searchParams.delete(name);
      const answer = await fetch(url, {headers: {accept: 'text/html'}});
      if (!answer.ok) return;
      const other = new DOMParser().parseFromString(await answer.text(), 'text/html');
      let left = false;
      for (const part of parts()) {
        const fresh = other.getElementById(part.id);
        if (fresh && inHand(part)) left = true; else if (fresh) put(part, fresh);
      }
      if (left) heard = null;
      board.soon();
    } catch { heard = null; } finally { asking = false; }
  };
  const look = () => {
    if (asking || document.hidden || !board.state || Date.now() - askedAt < LEAST) return;
    const told = happened(), longest = 1000 * Math.min(...[...parts()].map((part) => Number(part.dataset.fresh)));
    if (told === heard && Date.now() - askedAt < longest) return;
    heard = told;
    read();
  };
  setInterval(look, 500);
})();
