/* The alarm console: rows follow the wire without moving under whoever reads, keys, sound, and actions without a new page. */
(() => {
  'use strict';
  const page = document.querySelector('[data-console]'), board = window.townboard;
  if (!page || !board) return;
  const {text, mark, make, field, count, clock, age, now, alarmWords, _, n_, said} = board;
  const list = field(page, 'console-rows'), form = document.getElementById('act'), told = document.getElementById('told');
  const ASIDE = ['shelved', 'suppressed', 'out_of_service'], WAITING = ['unacknowledged', 'returned_unacknowledged', 'latched_unacknowledged'];
  const SOON = 15 * 60000, MOST = 500;

  // ---- who did what: asked for by itself, since the stream that everybody gets holds no names ----------------------
  let who = JSON.parse(page.dataset.who || '{}'), heard = null;
  const known = () => board.state.alarms.map((a) => ({...a, ...who[a.id]}));
  const askWho = () => {
    const newest = board.state.alarms.reduce((last, a) => (a.done_at || '') > last ? a.done_at : last, '');
    if (!page.dataset.who || newest === heard) return;
    const before = heard;
    heard = newest;
    if (before === null && board.state.seq <= Number(page.dataset.seq)) return;
    fetch(`${board.base}alarms/who`).then((answer) => answer.ok ? answer.json() : Promise.reject()).then((told) => { who = told; board.soon(); }, () => { heard = before; });
  };

  // ---- which alarms, in which order ------------------------------------------------------------------------------
  const inGroup = (a) => ({
    unacknowledged: WAITING.includes(a.state), mine: a.owner === page.dataset.me && a.state !== 'normal', aside: ASIDE.includes(a.state), all: true,
  })[page.dataset.show] ?? (a.active || a.state === 'returned_unacknowledged');
  const searched = (a) => [a.title, a.asset_name, a.asset, a.ward && alarmWords.ward(a.ward), a.owner, a.id].filter(Boolean).join(' ').toLowerCase();
  const wanted = (a) => inGroup(a) && (!page.dataset.priority || a.priority === page.dataset.priority) && (!page.dataset.domain || a.domain === page.dataset.domain)
    && (!page.dataset.wardFilter || a.ward === page.dataset.wardFilter) && (!page.dataset.q || searched(a).includes(page.dataset.q.toLowerCase()));

  // ---- a row -----------------------------------------------------------------------------------------------------
  const opening = (id) => { const query = new URLSearchParams(location.search); for (const name of ['did', 'n']) query.delete(name); query.set('alarm', id); return `${location.pathname}?${query}`; };
  const skeleton = (a) => {
    const row = make('li', 'c-row', undefined, {alarm: a.id}), pick = make('label', 'c-pick'), box = make('input'), what = make('div', 'c-what'), open = make('a', 'c-open');
    Object.assign(box, {type: 'checkbox', name: 'id', value: a.id});
    box.setAttribute('form', 'act');
    pick.append(box);
    what.append(make('span', 'priority'), ' ', open, make('span', 'c-where'));
    const facts = make('div', 'c-facts');
    facts.append(...['c-since', 'c-against', 'c-standing'].map((name) => make('span', name)));
    row.append(pick, what, facts, make('span', 'c-note'));
    return row;
  };
  const fill = (row, a) => {
    const part = (name) => row.querySelector(`.${name}`), where = part('c-where'), chip = part('priority'), open = part('c-open');
    const back = !a.active && a.returned_at, since = back || a.since, placed = alarmWords.place(a);
    mark(row, 'state', a.state); mark(row, 'priority', a.priority); mark(chip, 'priority', a.priority);
    text(chip, _(a.priority[0].toUpperCase() + a.priority.slice(1)));
    text(open, said(a.title));
    open.href = opening(a.id);
    row.querySelector('input').setAttribute('aria-label', _('Choose {title}, {place}', {title: said(a.title), place: a.asset_name || placed}));
    if (!where.firstChild) {
      if (a.asset) { const link = make('a', '', a.asset_name || a.asset); link.href = `${board.base}asset/${encodeURIComponent(a.asset)}`; where.append(link, placed ? ', ' : ''); }
      where.append(placed);
    }
    const words = back ? _('back to normal since {clock}, {age}') : _('since {clock}, {age}'), when = part('c-since');
    const [before, after] = words.replace('{clock}', clock(since)).split('{age}');
    if (!when.firstChild || when.firstChild.textContent !== before) when.replaceChildren(before, make('span', '', age(now() - new Date(since)), {age: since}), after);
    text(part('c-against'), alarmWords.against(a));
    text(part('c-standing'), alarmWords.standing(a));
    text(part('c-note'), (a.cause_title ? _('Because of: {title}.', {title: said(a.cause_title)}) + ' ' : '') + (a.active ? said(a.instruction) : ''));
  };

  // ---- painting: what is read stays where it is ----------------------------------------------------------------------
  let showAll = false;
  const chosen = () => [...page.querySelectorAll('.c-pick input:checked')];
  const reading = () => list.matches(':hover') || list.contains(document.activeElement) || chosen().length > 0;
  const paintRows = () => {
    if (!list || !board.state) return;
    const all = known(), rows = all.filter(wanted), byId = new Map(rows.map((a) => [a.id, a]));
    const nodes = new Map([...list.children].map((row) => [row.dataset.alarm, row]));
    const every = new Map(all.map((a) => [a.id, a]));
    for (const [id, row] of nodes) {
      if (every.has(id)) fill(row, every.get(id));
      row.classList.toggle('c-gone', !byId.has(id));
    }
    const fresh = rows.filter((a) => !nodes.has(a.id)), hold = reading() && !showAll;
    if (!hold) {
      const order = rows.slice(0, MOST).map((a) => { const row = nodes.get(a.id) || skeleton(a); fill(row, a); row.classList.remove('c-gone'); return row; });
      if (order.length !== list.children.length || order.some((row, place) => list.children[place] !== row)) {
        const focused = list.contains(document.activeElement) ? document.activeElement : null;
        list.replaceChildren(...order);
        if (focused?.isConnected) focused.focus({preventScroll: true});
      }
      showAll = false;
    }
    const notice = field(page, 'new');
    notice.hidden = !(hold && fresh.length);
    if (!notice.hidden) text(document.getElementById('console-new'), _('Show {alarms}', {alarms: count(fresh.length, 'new alarm')}));
    field(page, 'console-empty').hidden = list.children.length > 0;
    text(field(page, 'console-summary'), _('{alarms} shown', {alarms: count(rows.length, 'alarm')}));
    countChosen();
  };
  const paintFlood = () => { const box = field(page, 'flood'), words = board.state.alarm_summary?.words || ''; text(box, said(words)); box.hidden = !words; };
  const paintEnding = () => {
    const box = field(page, 'ending'), items = box.querySelector('ul');
    const soon = known().filter((a) => a.state === 'shelved' && a.until && new Date(a.until) - now() <= SOON).sort((a, b) => new Date(a.until) - new Date(b.until));
    const told = JSON.stringify(soon.map((a) => [a.id, a.until, a.by, a.reason]));
    box.hidden = !soon.length;
    if (items._told === told) return;
    items._told = told;
    items.replaceChildren(...soon.map((a) => {
      const item = make('li'), link = make('a', '', said(a.title));
      link.href = opening(a.id);
      item.append(link, `${a.asset_name ? `, ${a.asset_name}` : ''}: ${_('until {clock}', {clock: clock(a.until)})}${a.by ? `, ${a.by}: ${a.reason || ''}` : ''}`);
      return item;
    }));
  };
  const countChosen = () => { if (form) { text(field(form, 'chosen'), chosen().length ? _('{n} chosen', {n: chosen().length}) : _('Choose alarms')); form.classList.toggle('c-idle', !chosen().length); } };

  // ---- a new critical one is heard --------------------------------------------------------------------------------
  const soundButton = document.getElementById('console-sound');
  let audio = null, rung = null, muted = false;
  try { muted = localStorage.getItem('townboard-sound') === 'off'; } catch { /* private windows keep none */ }
  const labelSound = () => { text(soundButton, muted ? _('Sound off') : audio ? _('Sound on') : _('Sound on after a click')); soundButton.setAttribute('aria-pressed', String(!muted)); };
  const allow = () => { if (!audio && window.AudioContext) { audio = new AudioContext(); labelSound(); } };
  const ring = () => {
    if (muted || !audio) return;
    board.chime(audio);
    page.dataset.rang = String(1 + Number(page.dataset.rang || 0));
  };
  const listen = () => {
    const critical = board.state.alarms.filter((a) => a.priority === 'critical' && a.state === 'unacknowledged').map((a) => a.id);
    if (rung && critical.some((id) => !rung.has(id))) ring();
    rung = new Set(critical);
    const waiting = board.state.alarms.filter((a) => WAITING.includes(a.state)).length, title = document.title.replace(/^\(\d+\) /, '');
    document.title = waiting ? `(${waiting}) ${title}` : title;
  };
  const turnSound = () => { muted = !muted; try { localStorage.setItem('townboard-sound', muted ? 'off' : 'on'); } catch { /* as above */ } allow(); labelSound(); };
  soundButton?.addEventListener('click', turnSound);
  for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, allow, {passive: true});

  // ---- the opened alarm -----------------------------------------------------------------------------------------------
  let detailTold = '', detailAt = 0;
  const openedRow = () => board.state && known().find((a) => a.id === page.dataset.open);
  const load = async (url, push) => {
    const answer = await fetch(url, {headers: {accept: 'text/html'}});
    if (!answer.ok) { location.href = url; return; }
    const other = new DOMParser().parseFromString(await answer.text(), 'text/html'), mine = page.querySelector('.c-detail'), theirs = other.querySelector('.c-detail');
    if (push) history.pushState({}, '', url);
    page.dataset.open = other.querySelector('[data-console]')?.dataset.open || '';
    if (mine && theirs) mine.replaceWith(theirs); else if (theirs) page.querySelector('.c-two').append(theirs); else mine?.remove();
    detailTold = JSON.stringify(openedRow() || ''); detailAt = Date.now();
    for (const row of list?.children || []) { if (row.dataset.alarm === page.dataset.open) row.setAttribute('aria-current', 'true'); else row.removeAttribute('aria-current'); }
    if (push && theirs && matchMedia('(max-width: 820px)').matches) theirs.scrollIntoView({block: 'start'});
  };
  const choose = (id) => { for (const box of page.querySelectorAll('.c-pick input')) box.checked = box.value === id; countChosen(); };
  const paintDetail = () => {
    const said = JSON.stringify(openedRow() || ''), detail = page.querySelector('.c-detail');
    if (!page.dataset.open || !detail || detail.contains(document.activeElement) || Date.now() - detailAt < 3000) return;
    if (!detailTold) detailTold = said;
    if (said !== detailTold) load(location.href, false).catch(() => {});
  };
  page.addEventListener('click', (e) => {
    const link = e.target.closest('.c-open, .c-detail a[href*="alarm="], #console-close');
    if (!link || !list || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault();
    const id = new URL(link.href).searchParams.get('alarm');
    choose(id);
    load(link.href, true).catch(() => { location.href = link.href; });
  });
  addEventListener('popstate', () => load(location.href, false).catch(() => location.reload()));

  // ---- acting without a new page --------------------------------------------------------------------------------------
  const say = (words, refused) => { told.hidden = !words; text(told, words); told.classList.toggle('good', !refused); };
  const act = async (submitter) => {
    const body = new URLSearchParams(new FormData(form, submitter));
    try {
      const answer = await fetch(form.action, {method: 'POST', headers: {accept: 'application/json'}, body});
      const outcome = await answer.json();
      say(outcome.words, outcome.refused);
      if (outcome.refused) return;
      const token = form.elements.form_token.value;
      form.reset();
      form.elements.form_token.value = token;
      for (const box of chosen()) box.checked = false;
      for (const sheet of form.querySelectorAll('details[open]')) sheet.open = false;
      countChosen();
      detailAt = 0;
    } catch { say(_('The server did not answer, so it is not known whether this was done. Look at the alarm, then try again.'), true); }
  };
  form?.addEventListener('submit', (e) => { e.preventDefault(); act(e.submitter || document.getElementById('console-ack')); });
  page.addEventListener('change', (e) => { if (e.target.closest('.c-pick')) { countChosen(); board.soon(); } });
  document.getElementById('console-filters')?.addEventListener('change', (e) => { if (e.target.matches('select')) e.currentTarget.requestSubmit(); });
  document.getElementById('console-new')?.addEventListener('click', () => { showAll = true; board.soon(); });

  // ---- keys ----------------------------------------------------------------------------------------------------------
  const help = document.getElementById('console-help');
  document.getElementById('console-help-open')?.addEventListener('click', () => help.showModal());
  const here = () => document.activeElement?.closest?.('.c-row');
  const step = (by) => {
    const rows = [...(list?.children || [])], at = rows.indexOf(here()), next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + by))];
    next?.querySelector('.c-open').focus();
    next?.scrollIntoView({block: 'nearest'});
  };
  const orHere = () => { if (!chosen().length && here()) { here().querySelector('input').checked = true; countChosen(); } return chosen().length > 0; };
  const sheet = (id) => { if (!form || !orHere()) return; const box = document.getElementById(id); box.open = true; box.querySelector('input, select').focus(); };
  const KEYS = {
    j: () => step(1), k: () => step(-1), m: turnSound, '?': () => help.showModal(), '/': () => document.getElementById('console-search').focus(),
    x: () => { const box = here()?.querySelector('input'); if (box) { box.checked = !box.checked; countChosen(); } },
    a: () => { if (form && orHere()) act(document.getElementById('console-ack')); },
    s: () => sheet('console-shelve'), o: () => sheet('console-assign'), c: () => sheet('console-comment'),
  };
  addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || help.open) return;
    if (e.key === 'Escape') {
      const open = form?.querySelector('details[open]');
      if (open) { open.open = false; open.querySelector('summary').focus(); } else if (/INPUT|SELECT/.test(e.target.tagName)) e.target.blur(); else document.getElementById('console-close')?.click();
      return;
    }
    const sheet = e.key === 'Enter' && e.target.matches('input') && e.target.closest('.c-sheet');
    if (sheet) { e.preventDefault(); [...sheet.querySelectorAll('button[name=do]')].pop().click(); return; }
    if (/INPUT|SELECT|TEXTAREA/.test(e.target.tagName) && e.target.type !== 'checkbox') return;
    if (!KEYS[e.key]) return;
    e.preventDefault();
    KEYS[e.key]();
  });

  labelSound();
  countChosen();
  board.painters.push(['[data-console]', () => { askWho(); paintRows(); paintFlood(); paintEnding(); paintDetail(); }]);
  // What rings is heard from a tab behind others too.
  board.heard = listen;
  board.stays = true;
  if (board.state) listen();
  list?.addEventListener('pointerleave', () => board.soon());
  list?.addEventListener('focusout', () => board.soon());
})();
