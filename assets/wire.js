/* The live wire: one stream per tab, asking in between when it will not come, heals for ever, says when nothing is live. */
(() => {
  'use strict';
  const board = window.townboard;
  const {_, all, mark, text, clock, now, base} = board;
  const quietAfter = 10000, staleLineAfter = 30000, uptime = () => performance.now();
  let stream = null, timer = 0, etag = null, build = null, fails = 0, beatAt = 0, heardAt = 0, startedAt = uptime();
  let hiddenFor = 0, touchedAt = 0, pollUntil = 0, deadSince = 0;

  const badge = () => {
    const silent = uptime() - (beatAt || startedAt), built = board.state?.built_at && new Date(board.state.built_at);
    const lineOld = built ? now() - built : 0;
    const dead = silent > quietAfter, stopped = !dead && lineOld > staleLineAfter;
    if (dead && !deadSince) deadSince = now() - silent;
    if (!dead) deadSince = 0;
    const words = dead ? _('Not live') : stopped ? _('Line stopped') : beatAt && board.state ? _('Live') : heardAt && uptime() - heardAt > quietAfter ? _('Waiting for figures') : _('Connecting');
    const look = dead || stopped ? 'dead' : beatAt && board.state ? 'live' : 'wait';
    all('.live').forEach((n) => { mark(n, 'mode', look); text(n, words); });
    const since = dead ? deadSince : stopped ? built : 0;
    all('.not-live').forEach((n) => {
      if (n.hidden !== !since) n.hidden = !since;
      if (since) text(n, dead ? _('NOT LIVE SINCE {clock}. The link to the server is lost; figures are as they were then. This heals by itself.', {clock: clock(since)})
        : _('NOT LIVE SINCE {clock}. The server answers, but no new figures are made. Tell whoever runs it.', {clock: clock(since)}));
    });
    document.documentElement.classList.toggle('is-not-live', Boolean(since));
  };
  const beat = (serverNow) => { beatAt = uptime(); heardAt ||= beatAt; if (serverNow) board.epoch = serverNow - beatAt; };

  // ---- state in --------------------------------------------------------------------------------------------------
  const onFull = (state) => { board.state = state; board.seq = state.seq; board.heard?.(); board.soon(); badge(); };
  const onDelta = (delta) => {
    if (!board.state || delta.prev !== board.seq) return ask();
    board.state = board.merge(board.state, delta);
    board.seq = delta.seq;
    board.heard?.();
    board.soon();
    badge();
  };
  const onBuild = (name) => {
    if (build && build !== name) setTimeout(board.reloadWhenQuiet, Math.random() * 20000);
    build = name;
  };
  /* Once, when nobody is in the middle of something, and only while the server answers: a browser's own error page heals late. */
  board.reloadWhenQuiet = async () => {
    const busy = uptime() - touchedAt < 8000 || /INPUT|SELECT|TEXTAREA/.test(document.activeElement?.tagName || '') || board.busy?.();
    const answers = (!busy || document.hidden) && await fetch(location.href, {method: 'HEAD', cache: 'no-store'}).then((a) => a.status < 500, () => false);
    if (answers) location.reload(); else setTimeout(board.reloadWhenQuiet, 3000);
  };

  // ---- transport: a stream, asking in between when it will not come, for ever -----------------------------------------
  const ask = async () => {
    try {
      const answer = await fetch(`${base}api/v1/snapshot`, {headers: etag ? {'If-None-Match': etag} : {}, cache: 'no-store'});
      if (answer.status !== 200 && answer.status !== 304 && answer.status !== 503) return false;
      beat(+answer.headers.get('x-now') || 0);
      if (answer.headers.get('x-build')) onBuild(answer.headers.get('x-build'));
      if (answer.status === 200) { etag = answer.headers.get('etag'); onFull(await answer.json()); }
      badge();
      return true;
    } catch { return false; }
  };
  const poll = async () => {
    board.mode = 'poll';
    const ok = await ask();
    timer = setTimeout(uptime() > pollUntil ? open : poll, (ok ? 2500 : 3000) + Math.random() * 800);
  };
  const close = () => { clearTimeout(timer); stream?.close(); stream = null; };
  const retry = () => {
    close();
    board.mode = 'wait';
    fails += 1;
    const wait = Math.min(30000, 1000 * 2 ** Math.min(fails - 1, 5)) * (.5 + Math.random() / 2);
    const next = fails > 2 && fails % 2 ? () => { pollUntil = uptime() + 30000; poll(); } : open;
    timer = setTimeout(next, fails > 2 ? Math.min(wait, 5000) : wait);
  };
  const open = () => {
    close();
    if (!window.EventSource) { pollUntil = Infinity; poll(); return; }
    board.mode = 'stream';
    stream = new EventSource(`${base}api/v1/stream`);
    stream.addEventListener('hello', (e) => { fails = 0; const h = JSON.parse(e.data); beat(h.now); onBuild(h.build); badge(); });
    stream.addEventListener('beat', (e) => { beat(JSON.parse(e.data).now); badge(); });
    stream.addEventListener('full', (e) => { beat(0); onFull(JSON.parse(e.data)); });
    stream.addEventListener('delta', (e) => { beat(0); onDelta(JSON.parse(e.data)); });
    stream.onerror = retry;   // the browser's own retry gives up on HTTP errors
  };
  /* A clock that was set, or a computer that slept: the stream says anew what time it is. */
  let apart = Date.now() - uptime();
  const slept = () => { const was = apart; apart = Date.now() - uptime(); return Math.abs(apart - was) > 3000; };
  setInterval(board.tick, 1000);
  setInterval(() => {
    if (stream && beatAt && uptime() - beatAt > 12000) retry();                      // a half-open socket says nothing
    if (stream && slept()) open();
    hiddenFor = document.hidden ? hiddenFor + 1 : 0;
    if (hiddenFor === 5 && board.mode !== 'hidden' && !board.stays) { close(); board.mode = 'hidden'; }  // six streams are all a browser has over HTTP/1.1
  }, 2000);
  const wake = () => { if (board.mode === 'hidden' || board.mode === 'wait') { startedAt = beatAt = uptime(); open(); } board.soon(); };
  document.addEventListener('visibilitychange', () => { if (!document.hidden) wake(); });
  addEventListener('online', wake);
  addEventListener('pageshow', (e) => { if (e.persisted) open(); });
  for (const kind of ['pointerdown', 'keydown', 'wheel']) addEventListener(kind, () => { touchedAt = uptime(); }, {passive: true});
  board.badge = badge;
  open();
  board.tick();
})();
