/* The wall: alarms that wait, the worst wards, a map that turns, a sound for what is new and critical. Nobody touches it. */
(() => {
  'use strict';
  const wall = document.querySelector('[data-wall]'), board = window.townboard;
  if (!wall || !board) return;
  const {_, n_, said, apart, text, make, field, all, number, age, now, localText, alarmWords, PRIORITIES} = board;
  const WAITING = ['unacknowledged', 'returned_unacknowledged', 'latched_unacknowledged'], OFF = ['breach', 'watch'];
  const TURN_MS = 15000, SHIFT_MS = 30000, RANG_LATELY_MS = 120000, NIGHT_HOUR = 3, OLD_MS = 20 * 3600000, MOST_WARDS = 4;
  const uptime = () => performance.now();
  board.stays = true;

  // ---- alarms that nobody has acknowledged ---------------------------------------------------------------------------
  const waiting = () => board.state.alarms.filter((a) => WAITING.includes(a.state))
    .sort((a, b) => PRIORITIES.indexOf(a.priority) - PRIORITIES.indexOf(b.priority) || (a.since < b.since ? -1 : a.since > b.since ? 1 : a.id < b.id ? -1 : 1));
  const where = (a) => [a.asset_name || a.asset, alarmWords.place(a)].filter(Boolean).join(_(', '));
  const alarmItem = (a) => {
    const item = make('li', '', undefined, {alarm: a.id}), what = Object.assign(make('span', 'w-what'), {dir: 'auto'}), since = make('span', 'w-since', age(now() - new Date(a.since)), {age: a.since});
    what.append(make('strong', '', said(a.title)), ` ${where(a)}`);
    item.append(make('span', 'priority', _(a.priority[0].toUpperCase() + a.priority.slice(1)), {priority: a.priority}), what, make('span', 'w-against', alarmWords.against(a)), since);
    return item;
  };
  const paintAlarms = (list) => {
    const every = waiting(), shown = every.slice(0, +list.dataset.wallAlarms), told = JSON.stringify(shown);
    if (list._told !== told) { list._told = told; list.replaceChildren(...shown.map(alarmItem)); }
    field(wall, 'no-alarms').hidden = every.length > 0;
    text(field(wall, 'waiting'), every.length ? n_('{n} alarm not acknowledged', '{n} alarms not acknowledged', every.length) : _('No alarm waits'));
    const flood = field(wall, 'wall-flood'), words = board.state.alarm_summary?.words || '';
    text(flood, said(words));
    flood.hidden = !words;
  };

  // ---- wards: the same words as components/wall_page.py ----------------------------------------------------------------
  const wards = () => JSON.parse(document.getElementById('shell-clock').dataset.wards);
  const statusOf = (kpi, ward) => board.state.kpis[`${kpi}|ward:${ward}`]?.status || 'no data';
  const worstWard = (kpis) => {
    if (!kpis.length) return _('Not known by ward');
    const names = wards(), found = Object.keys(names).map((ward) => [names[ward], kpis.map((kpi) => statusOf(kpi, ward))]);
    if (!found.some(([, all_]) => all_.some((s) => s === 'good' || OFF.includes(s)))) return _('No ward has figures yet');
    const counted = found.map(([name, all_]) => [name, ...OFF.map((s) => all_.filter((one) => one === s).length)]);
    const [, breach, watch] = counted.reduce((a, b) => (b[1] > a[1] || (b[1] === a[1] && b[2] > a[2]) ? b : a));
    if (!breach && !watch) return _('No ward misses a target');
    const alike = counted.filter((one) => one[1] === breach && one[2] === watch).map((one) => one[0]);
    const ward = apart(alike.length === 1 ? alike[0] : `${alike[0]} +${number(alike.length - 1, 0)}`);
    return breach ? n_('{ward}: {n} in breach', '{ward}: {n} in breach', breach, {ward}) : n_('{ward}: {n} on watch', '{ward}: {n} on watch', watch, {ward});
  };
  const troubled = (box) => {
    const names = wards(), {troubled: kpi, better, decimals, unit} = box.dataset, sign = better === 'higher' ? 1 : -1;
    const rows = Object.keys(names).map((ward) => ({name: names[ward], ...(board.state.kpis[`${kpi}|ward:${ward}`] || {status: 'no data', value: null})}));
    const off = rows.filter((r) => OFF.includes(r.status)).sort((a, b) => OFF.indexOf(a.status) - OFF.indexOf(b.status) || sign * (a.value - b.value) || (a.name < b.name ? -1 : 1));
    const told = off.slice(0, MOST_WARDS).map((r) => [r.status, `${apart(r.name)} ${apart(`${number(r.value, +decimals)} ${unit}`.trim())}`]);
    const unknown = rows.filter((r) => r.value === null || r.value === undefined).length;
    if (off.length > MOST_WARDS) told.push(['', _('and {n} more', {n: number(off.length - MOST_WARDS, 0)})]);
    if (unknown) told.push(['no data', n_('{n} without figures', '{n} without figures', unknown)]);
    return told.length ? told : [['', _('No ward misses its target')]];
  };
  const paintTroubled = (box) => {
    const told = troubled(box), key = JSON.stringify(told);
    if (box._told === key) return;
    box._told = key;
    box.replaceChildren(...told.map(([state, words]) => { const item = make('li'); item.append(make('span', 'mark-only', undefined, {state}), words); return item; }));
  };

  // ---- the map turns -----------------------------------------------------------------------------------------------------
  const turns = [...all('[data-turn]')];
  let shown = 0;
  const turn = () => { shown = (shown + 1) % turns.length; turns.forEach((part, i) => { part.hidden = i !== shown; }); board.soon(); };
  if (turns.length > 1) setInterval(turn, TURN_MS);

  // ---- what is new and critical is heard and spoken, once, also over a reload ------------------------------------------
  const KEY = 'townboard-wall-rang';
  let audio = null, rang = new Set(), rangAt = -RANG_LATELY_MS;
  try { rang = new Set(JSON.parse(sessionStorage.getItem(KEY) || '[]')); } catch { /* private windows keep none */ }
  const sound = field(wall, 'sound');
  const labelSound = () => { sound.hidden = !audio || audio.state === 'running'; };
  const allow = () => { audio?.resume().then(labelSound); };
  if (window.AudioContext) { audio = new AudioContext(); audio.onstatechange = labelSound; setTimeout(labelSound, 1000); }
  for (const kind of ['pointerdown', 'keydown']) addEventListener(kind, allow, {passive: true});
  const listen = () => {
    const critical = board.state.alarms.filter((a) => a.priority === 'critical' && a.state === 'unacknowledged');
    const fresh = critical.filter((a) => !rang.has(`${a.id} ${a.since}`));
    rang = new Set(critical.map((a) => `${a.id} ${a.since}`));
    try { sessionStorage.setItem(KEY, JSON.stringify([...rang])); } catch { /* as above */ }
    if (!fresh.length) return;
    rangAt = uptime();
    if (audio?.state === 'running') board.chime(audio);
    text(field(wall, 'spoken'), fresh.map((a) => where(a) ? _('Critical alarm: {title}, {where}.', {title: said(a.title), where: where(a)}) : _('Critical alarm: {title}.', {title: said(a.title)})).join(' '));
    wall.dataset.rang = String(fresh.length + Number(wall.dataset.rang || 0));
  };

  // ---- who is on shift; a token that was revoked is noticed here ----------------------------------------------------------
  const askShift = async () => {
    try {
      const answer = await fetch(`${board.base}wall/shift`, {cache: 'no-store'});
      if (answer.status === 403) { location.reload(); return; }
      if (answer.ok) text(field(wall, 'shift'), (await answer.json()).words);
    } catch { /* the banner tells that the link is lost */ }
  };
  setInterval(askShift, SHIFT_MS);

  // ---- afresh once a night, and with a new version when nothing just rang -------------------------------------------------
  board.busy = () => uptime() - rangAt < RANG_LATELY_MS;
  setInterval(() => { if (uptime() > OLD_MS && +localText(now()).slice(11, 13) === NIGHT_HOUR) board.reloadWhenQuiet(); }, 10 * 60000);

  board.heard = listen;
  board.painters.push(['[data-wall-alarms]', paintAlarms], ['[data-worst]', (node) => text(node, worstWard(node.dataset.worst.split(' ').filter(Boolean)))],
    ['[data-turn]:not([hidden]) [data-troubled]', paintTroubled]);
  if (board.state) { listen(); board.soon(); }
})();
