/* Lists that change their order: alarms, feeds, the lines of the overview's cards. Nothing moves under a pointer. */
(() => {
  'use strict';
  const board = window.townboard;
  const {_, N_, said, STATES, SEVERITY, number, age, now, clock, count, mark, text, all, make, field, painters} = board;
  const pointedAt = (node) => node.matches(':hover') || node.contains(document.activeElement);
  const given = (name) => JSON.parse(document.getElementById('shell-clock')?.dataset[name] || '{}');
  const capital = (words) => words[0].toUpperCase() + words.slice(1);

  // ---- alarms ------------------------------------------------------------------------------------------------
  const digits = (v) => Math.abs(v) >= 100 || Number.isInteger(v) ? 0 : Math.abs(v) < 10 ? 2 : 1;
  const unitWords = (unit) => given('units')[unit] ?? (unit || '').replaceAll('_', ' ').replaceAll('^3', '³').replaceAll('^2', '²');
  const against = (a) => {
    if (a.value === null || a.value === undefined) return '';
    const figure = (v) => number(v, a.decimals ?? digits(v)), value = `${figure(a.value)} ${unitWords(a.unit)}`.trim();
    return a.limit === null || a.limit === undefined ? value : _('{value}, limit {limit}', {value, limit: figure(a.limit)});
  };
  const wardName = (id) => given('wards')[id] || _('Ward {key}', {key: id});
  const areaWords = (area) => {
    const [level, id] = (area || 'town').split(/:(.*)/);
    return level === 'town' ? _('Whole town') : level === 'ward' ? wardName(id) : level === 'asset' ? id : level === 'feed' ? '' : _(`${capital(level)} {key}`, {key: id});
  };
  const SAID = {unacknowledged: _('not acknowledged'), returned_unacknowledged: _('not acknowledged'), latched_unacknowledged: _('held until it is reset, not acknowledged'), latched: _('held until it is reset'), suppressed: _('suppressed by design')};
  const standing = (a) => {
    const who = a.owner || a.acknowledged_by;
    const words = SAID[a.state] || said(a.state.replaceAll('_', ' '));
    const held = a.state === 'acknowledged' && who ? _('{words}, {who} sees to it', {words, who}) : words;
    return a.consequences ? _('{words}; explains {count}', {words: held, count: count(a.consequences, 'more alarm')}) : held;
  };
  const place = (a) => a.ward ? wardName(a.ward) : a.asset ? '' : areaWords(a.area);
  const alarmItem = (a, open) => {
    const item = make('li', '', undefined, {alarm: a.id, state: a.state, priority: a.priority});
    const title = make('div', 'alarm-title'), facts = make('div', 'facts'), where = make('span', 'where');
    title.append(make('span', 'priority', _(capital(a.priority)), {priority: a.priority}), make('strong', '', said(a.title)));
    if (a.asset) { const link = make('a', '', a.asset_name || a.asset, {nav: ''}); link.href = `${board.base}asset/${encodeURIComponent(a.asset)}`; where.append(link); }
    where.append((a.asset && place(a) ? ', ' : '') + place(a));
    const since = a.returned_at || a.since, words = a.active || !a.returned_at ? _('since {clock}, {age}') : _('back to normal since {clock}, {age}');
    const [before, after] = words.replace('{clock}', clock(since)).split('{age}'), when = make('span', 'since', before);
    when.append(make('span', '', age(now() - new Date(since)), {age: since}), after);
    facts.append(where, when, make('span', 'against', against(a)), make('span', 'standing', standing(a)));
    if (a.instruction && a.active) {
      const todo = make('details', 'todo');
      todo.open = open;
      todo.append(make('summary', '', _('What to do')), make('p', '', said(a.instruction)));
      facts.append(todo);
    }
    item.append(title, facts);
    return item;
  };
  /* While somebody points at the list, what stands there stays where it is and what is new comes below. */
  const arranged = (list, shown) => {
    if (!pointedAt(list)) return shown;
    const byId = new Map(shown.map((a) => [a.id, a])), standing = [...list.children].map((li) => li.dataset.alarm).filter((id) => byId.has(id));
    const old = new Set(standing);
    return [...standing.map((id) => byId.get(id)), ...shown.filter((a) => !old.has(a.id))];
  };
  const paintAlarms = (box) => {
    const only = box.closest('[data-only-asset]')?.dataset.onlyAsset, list = field(box, 'alarms');
    const rows = board.state.alarms.filter((a) => (!box.dataset.alarms || a.domain === box.dataset.alarms)
      && (!box.dataset.wardFilter || a.ward === box.dataset.wardFilter) && (!only || a.asset === only));
    const ranked = [...rows.filter((a) => a.active).slice(0, +box.dataset.limit), ...rows.filter((a) => a.state === 'normal' || a.state === 'returned_unacknowledged').slice(0, 3)];
    const shown = arranged(list, ranked), before = new Map([...list.children].map((li) => [li.dataset.alarm, li]));
    const nodes = shown.map((a, place) => {
      const told = JSON.stringify(a), known = before.get(a.id);
      if (known && known._told === told) return known;
      const open = known?.querySelector('.todo')?.open ?? (place === 0 && !before.size), item = alarmItem(a, open);
      item._told = told;
      return item;
    });
    if (nodes.length !== list.children.length || nodes.some((n, i) => list.children[i] !== n)) list.replaceChildren(...nodes);
    const empty = field(box, 'empty'), more = field(box, 'more'), hidden = rows.length - shown.length;
    text(empty, _('No alarms. Everything that is watched is within its limits.'));
    empty.hidden = rows.length > 0;
    more.hidden = hidden <= 0;
    text(more, _('and {n} more', {n: number(Math.max(0, hidden), 0)}));
  };

  // ---- the overview's cards: a KPI that worsens comes up by itself ---------------------------------------------
  const rank = (li) => { const at = SEVERITY.indexOf(li.dataset.state); return at < 0 ? 9 : at; };
  const paintRanked = (list) => {
    if (pointedAt(list)) return;
    const now = [...list.children], sorted = now.map((li, i) => [rank(li), i, li]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map((t) => t[2]);
    if (sorted.some((li, i) => li !== now[i])) list.append(...sorted);
  };

  // ---- feeds -------------------------------------------------------------------------------------------------
  const CALM = ['live', 'waiting'];
  const band = (s) => s === null || s === undefined ? 'unknown' : s >= .98 ? 'full' : s >= .75 ? 'most' : s >= .01 ? 'some' : 'none';
  const feedNow = (f) => {
    if (!f.last_arrival || !f.every_s || f.state === 'failing') return f.state;
    const missed = (now() - new Date(f.last_arrival)) / 1000 / f.every_s;
    return missed > 4 ? 'silent' : missed > 2 && f.state === 'live' ? 'late' : f.state;
  };
  const paintFeed = (node) => {
    const f = board.state.feeds[node.dataset.feed];
    if (!f) return;
    const status = feedNow(f), words = field(node, 'words');
    mark(node, 'state', status);
    if (node.closest('[data-troubled-only=yes]')) node.hidden = CALM.includes(status);
    for (const chip of node.querySelectorAll('.chip')) { mark(chip, 'state', status); text(chip, STATES[status] || status); }
    text(words, said(f.words));
    if (words) words.hidden = status === 'live' && !f.sensors_silent;
    text(field(node, 'arrived'), f.last_arrival ? _('{age} ago', {age: age(now() - new Date(f.last_arrival))}) : _('nothing yet'));
    for (const key of ['decoded', 'stored', 'duplicate', 'quarantined']) text(field(node, key), number(f[key] || 0, 0));
    const cells = field(node, 'strip')?.children || [];
    (f.strip || []).forEach((s, i) => { if (cells[i]) { mark(cells[i], 'band', band(s)); cells[i].title = _('{n} h ago: {share}', {n: number(f.strip.length - i, 0), share: s === null ? _('unknown') : `${number(Math.floor(s * 100), 0)} %`}); } });
  };
  const paintLedger = (node) => {
    const l = board.state.ledger || {};
    for (const key of ['decoded', 'stored', 'duplicate', 'quarantined']) text(field(node, key), number(l[key] || 0, 0));
    const missing = (l.decoded || 0) - (l.stored || 0) - (l.duplicate || 0) - (l.quarantined || 0);
    text(field(node, 'books'), missing ? _('{missing} rows are on their way through the line.', {missing: number(missing, 0)}) : _('The books balance: every row is accounted for.'));
  };
  const feedsSentence = () => {
    const feeds = Object.values(board.state.feeds), troubled = feeds.filter((f) => !CALM.includes(feedNow(f))).length;
    return _('{n} of {feeds} arriving as expected.', {n: number(feeds.length - troubled, 0), feeds: count(feeds.length, 'feed')});
  };
  const paintJob = (node) => {
    const job = (board.state.jobs || []).find((j) => j.job === node.dataset.job), began = field(node, 'began');
    if (!job) return;
    if (began && job.started_at) began.dataset.age = job.started_at;
    text(field(node, 'rows'), job.rows === null || job.rows === undefined ? '' : number(job.rows, 0));
    text(field(node, 'next'), clock(job.next_at));
    const shown = field(node, 'outcome');
    text(shown, said(job.outcome));
    if (shown) { shown.classList.toggle('chip', job.outcome === 'failed'); mark(shown, 'state', job.outcome === 'failed' ? 'failing' : ''); }
  };

  board.alarmWords = {ward: wardName, place, against, standing};
  painters.push(['[data-alarms]', paintAlarms], ['[data-ranked]', paintRanked], ['[data-feed]', paintFeed], ['.ledger', paintLedger], ['[data-job]', paintJob],
    ['[data-f="feeds-sentence"]', (n) => text(n, feedsSentence())],
    ['.overview [data-f="flood"]', (n) => { const words = board.state.alarm_summary?.words || ''; text(n.querySelector('span'), said(words)); n.hidden = !words; }],
    ['[data-f="summary"]', (n) => text(n, _('{alarms} active. {feeds}', {alarms: capital(count(board.state.alarms.filter((a) => a.active).length, 'alarm')), feeds: feedsSentence()}))]);
  document.addEventListener('pointerout', (e) => { if (e.target.closest?.('[data-alarms],[data-ranked]')) board.soon(); }, {passive: true});
})();
