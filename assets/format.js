/* Words and formats in the page, the same as components/wording.py writes them first. */
(() => {
  'use strict';
  const board = window.townboard = Object.assign(window.townboard || {}, {state: null, seq: 0, mode: 'wait', epoch: Date.now() - performance.now()});
  /* The language that the server gave with words/<language>.js; English, which the messages are written in, brings none. */
  const tongue = Object.assign({lang: 'en', dir: 'ltr', words: {}, patterns: [], digits: '', plural: (n) => +(n !== 1),
    months: ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'],
    dates: {MMMd: 'd MMM', yMMMd: 'd MMM y', yMMM: 'MMM y'}}, board.tongue);
  const fill = (words, values) => values ? words.replace(/\{(\w+)\}/g, (hole, name) => name in values ? values[name] : hole) : words;
  const _ = (message, values) => fill(tongue.words[message] ?? message, values);
  const n_ = (one, many, n, values) => {
    const forms = tongue.words[`${one}\0${many}`];
    return fill(forms ? forms[tongue.plural(n)] : n === 1 ? one : many, {n: number(n, 0), ...values});
  };
  const N_ = (message) => message;
  /* What the line wrote in English: whole, by the pattern of a sentence, or sentence by sentence. */
  const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const patterns = tongue.patterns.map((message) => {
    const parts = message.split(/\{(\w*)\}/), holes = parts.filter((part, i) => i % 2);
    return {message, holes, found: new RegExp(`^${parts.map((part, i) => i % 2 ? '(.+?)' : escaped(part)).join('')}$`, 's')};
  }).sort((a, b) => b.message.length - a.message.length);
  const heard = new Map();
  const translate = (text) => {
    if (text in tongue.words) return tongue.words[text];
    for (const {message, holes, found} of patterns) {
      const match = found.exec(text);
      if (match) return fill(tongue.words[message], Object.fromEntries(holes.map((name, i) => [name, said(match[i + 1])])));
    }
    const sentences = text.split(/(?<=[.;?!]) /);
    return sentences.length > 1 ? sentences.map(said).join(' ') : text;
  };
  const said = (text) => {
    if (!text || tongue.lang === 'en') return text || '';
    if (heard.size > 4000) heard.clear();
    if (!heard.has(text)) heard.set(text, translate(text));
    return heard.get(text);
  };
  /* A name among words that run to the left keeps its own direction. */
  const apart = (name) => tongue.dir === 'rtl' ? `\u2068${name}\u2069` : name;
  const native = (text) => tongue.digits ? text.replace(/[0-9]/g, (digit) => tongue.digits[digit]) : text;
  const STATES = {good: _('Good'), watch: _('Watch'), breach: _('Breach'), late: _('Late'), stale: _('Stale'), 'no data': _('No data'), context: _('For context'),
    live: _('Live'), silent: _('Silent'), failing: _('Failing'), waiting: _('Waiting'), alarm: _('Alarm')};
  const REASONS = {no_data: _('nothing was measured in this time'), insufficient_data: _('too few readings arrived to judge it'),
    stale: _('the readings stopped'), not_applicable: _('it does not apply here')};
  const SEVERITY = ['breach', 'watch', 'stale', 'late', 'no data', 'good', 'context'];
  const PRIORITIES = ['critical', 'high', 'medium', 'low'];
  const formats = new Map();
  const number = (value, decimals = 1) => {
    if (value === null || value === undefined) return '–';
    if (!formats.has(decimals)) formats.set(decimals, new Intl.NumberFormat(tongue.lang,
      {minimumFractionDigits: decimals, maximumFractionDigits: decimals, roundingMode: 'halfExpand', signDisplay: 'negative'}));
    return formats.get(decimals).format(value).replace('-', '−');
  };
  const age = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(s / 3600), d = Math.floor(h / 24);
    if (s < 60) return _('{n} s', {n: number(s, 0)});
    if (m < 60) return _('{n} min', {n: number(m, 0)});
    if (h < 24) return m % 60 ? _('{n} h {m} min', {n: number(h, 0), m: number(m % 60, 0)}) : _('{n} h', {n: number(h, 0)});
    return n_('{n} day', '{n} days', d);
  };
  /* The server's time, carried on by a clock that nobody sets: the computer's own may be wrong, or put right meanwhile. */
  const now = () => board.epoch + performance.now();
  const zone = () => document.getElementById('shell-clock')?.dataset.zone || 'UTC';
  /* How far the town's clock is from UTC changes at a quarter of an hour at most: asked once for each, for Intl is slow. */
  const QUARTER = 900000, apartAt = new Map();
  let teller = null, told = '';
  const offset = (ms) => {
    const here = zone(), quarter = Math.floor(ms / QUARTER);
    if (told !== here) { told = here; apartAt.clear(); teller = new Intl.DateTimeFormat('en-GB', {timeZone: here, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric'}); }
    if (!apartAt.has(quarter)) {
      const f = Object.fromEntries(teller.formatToParts(quarter * QUARTER).map((p) => [p.type, +p.value]));
      if (apartAt.size > 5000) apartAt.clear();
      apartAt.set(quarter, Date.UTC(f.year, f.month - 1, f.day, f.hour, f.minute, f.second) - quarter * QUARTER);
    }
    return apartAt.get(quarter);
  };
  /* An instant on the town's clock, as if that were UTC. */
  const local = (at) => { const ms = +new Date(at); return new Date(ms + offset(ms)).toISOString(); };
  const hms = (at) => native(local(at).slice(11, 19));
  /* A day with the parts that the skeleton names, in the order the language has. */
  const dayOf = (y, m, d, skeleton) => native(tongue.dates[skeleton].replace(/'[^']*'|d|MMM|y/g,
    (part) => ({d: String(d), MMM: tongue.months[m - 1], y: String(y)})[part] ?? part.replaceAll("'", '')));
  const clock = (iso) => {
    if (!iso) return '–';
    const at = local(iso), today = local(now()), time = native(at.slice(11, 16));
    if (at.slice(0, 10) === today.slice(0, 10)) return time;
    const [y, m, d] = at.split(/\D/).map(Number);
    return `${dayOf(y, m, d, at.slice(0, 4) === today.slice(0, 4) ? 'MMMd' : 'yMMMd')} ${time}`;
  };
  const localText = (iso) => local(iso).slice(0, 19);
  const span = (start, end) => {
    const first = localText(start), last = localText(end), [y, m, d] = first.split(/\D/).map(Number), [, m2, d2] = last.split(/\D/).map(Number);
    const midnight = (text) => Date.parse(text.slice(0, 10)), days = Math.round((midnight(last) - midnight(first)) / 864e5);
    const hours = Math.round((new Date(end) - new Date(start)) / 36e5);
    if (!first.endsWith('T00:00:00') || !last.endsWith('T00:00:00') || days > 366) {
      const length = hours >= 48 ? n_('{n} day', '{n} days', Math.round(hours / 24)) : _('{n} h', {n: number(hours, 0)});
      return hours > 1 ? _('the {length} to {end}', {length, end: clock(end)}) : _('{start} to {end}', {start: clock(start), end: native(last.slice(11, 16))});
    }
    if (days > 31 && m === 1 && d === 1 && m2 === 1 && d2 === 1) return native(`${y}`);
    if (days > 7 && d === 1 && d2 === 1) return dayOf(y, m, d, 'yMMM');
    const final = new Date(midnight(last) - 864e5), named = dayOf(final.getUTCFullYear(), final.getUTCMonth() + 1, final.getUTCDate(), 'MMMd');
    return days === 1 ? named : _('{start} to {end}', {start: dayOf(y, m, d, 'MMMd'), end: named});
  };
  const closed = (row) => row.window_start && row.window_end && new Date(row.window_end) <= now();
  const old = (row) => age(now() - new Date(row.as_of));
  const when = (row, status = row.status) => {
    if (closed(row)) {
      const words = span(row.window_start, row.window_end), aged = (status === 'late' || status === 'stale') && row.as_of;
      return aged ? _('for {span}, {age} old', {span: words, age: old(row)}) : _('for {span}', {span: words});
    }
    return row.as_of ? _('as of {clock}, {age} old', {clock: clock(row.as_of), age: old(row)}) : '';
  };
  const whenShort = (row, status) => closed(row) ? when(row, status) : row.as_of ? _('{age} old', {age: old(row)}) : '';
  const daysLong = (row) => row.window_start && row.window_end ? (new Date(row.window_end) - new Date(row.window_start)) / 864e5 : 0;
  const trend = (row) => {
    const none = row.last_week === null || row.last_week === undefined;
    if (none && daysLong(row) > 27) return daysLong(row) < 40 ? _('new with each month') : _('new with each year');
    if (none || row.value === null) return _('no value last week');
    const change = +(row.value - row.last_week).toFixed(row.decimals);
    const before = number(row.last_week, row.decimals);
    const moved = `${change > 0 ? '▲' : '▼'} ${number(Math.abs(change), row.decimals)}`, then = {change: moved, before};
    if (row.last_week_whole) return change === 0 ? _('as last week in full ({before})', then) : _('{change} on last week in full ({before})', then);
    return change === 0 ? _('as last week ({before})', then) : _('{change} on last week ({before})', then);
  };
  const corrected = (row, unit) => {
    const told = row.corrected;
    if (!told) return '';
    const [y, m, d] = localText(told.at).split(/\D/).map(Number), day = dayOf(y, m, d, 'MMMd');
    const before = told.before === null ? _('unknown') : `${number(told.before, row.decimals)} ${unit}`.trim();
    if (row.window_start && new Date(told.window_start).getTime() === new Date(row.window_start).getTime()) return _('corrected on {day}, was {before}', {day, before});
    const after = told.after === null ? _('unknown') : number(told.after, row.decimals);
    return _('{span} corrected on {day}, was {before}, is {after}', {span: span(told.window_start, told.window_end), day, before, after});
  };
  const coverage = (share) => share === null || share === undefined ? _('completeness unknown') : _('{n} % of what is expected', {n: number(Math.floor(share * 100), 0)});
  const detail = (row, state) => row.detail ? said(state.assets[row.detail]?.name || state.feeds[row.detail]?.title || row.detail) : '';
  const reason = (row) => REASONS[row.reason || 'no_data'] || said(String(row.reason).replaceAll('_', ' '));
  const completeness = (row) => row.value === null && String(row.reason || '').startsWith('only ') ? '' : coverage(row.coverage);
  /* A counted noun; the extractor finds the nouns (tools/messages.py). */
  const count = (n, one) => n ? n_(`{n} ${one}`, `{n} ${one}s`, n) : _(`no ${one}s`);

  /* What the line says has changed, laid over the state before: pipelines/engine/snapshot.py, changes(). */
  const merge = (state, delta) => {
    for (const part of ['kpis', 'feeds', 'assets']) {
      state[part] = Object.assign(state[part] || {}, delta[part]);   // two thousand rows are not copied for a hundred that changed
      for (const key of delta.gone?.[part] || []) delete state[part][key];
    }
    for (const part of ['seq', 'built_at', 'alarms', 'alarm_summary', 'jobs', 'ledger', 'town', 'build']) if (part in delta) state[part] = delta[part];
    return state;
  };
  Object.assign(board, {_, n_, N_, said, apart, native, merge, STATES, SEVERITY, PRIORITIES, number, age, now, zone, hms, clock, localText, span, when, whenShort, old, completeness, detail, trend, corrected, coverage, reason, count});
})();
