/* The page itself: first paint handed over to Dash (handover.js), filters in the address, links that keep them, theme. */
(() => {
  'use strict';
  const board = window.townboard;
  const all = (selector) => document.querySelectorAll(selector);
  board.base = new URL('..', document.currentScript.src).pathname;

  const dressPage = () => {
    const first = document.getElementById('first'), content = document.getElementById('_pages_content');
    if (first && content?.firstElementChild && board.dressed(first) && !board.inHand(first)) board.handOver(first);
    const query = new URLSearchParams(location.search);
    for (const select of all('select[data-filter]')) {
      const asked = query.get(select.dataset.filter);
      if (asked !== null && [...select.options].some((o) => o.value === asked) && select.value !== asked && document.activeElement !== select) select.value = asked;
    }
    for (const link of all('.nav-item')) {
      const here = new URL(link.href).pathname === location.pathname;
      if (here) link.setAttribute('aria-current', 'page'); else link.removeAttribute('aria-current');
    }
  };
  /* On a phone the long parts of a page begin folded; whoever opens one of assets gets ten at a time. */
  const phone = matchMedia('(max-width: 820px)');
  const foldForPhones = () => {
    if (!phone.matches) return;
    for (const part of all('details[data-fold]:not([data-folded])')) { part.dataset.folded = 'yes'; part.open = false; }
  };
  document.addEventListener('toggle', (e) => {
    const select = phone.matches && e.target.open && e.target.dataset.folded === 'yes' && e.target.querySelector('#assets-size');
    if (!select || !window.dash_clientside?.set_props) return;
    e.target.dataset.folded = 'opened';
    dash_clientside.set_props('assets-size', {value: '10'});
  }, true);
  const go = (href) => {
    history.pushState({}, '', href);
    dispatchEvent(new CustomEvent('_dashprivate_pushstate'));
    dispatchEvent(new CustomEvent('_dashprivate_historychange'));
    board.soon?.();
  };
  const keep = (url) => {
    const query = new URLSearchParams(location.search);
    for (const name of ['ward', 'days', 'as_known_at']) if (query.get(name) && !url.searchParams.has(name)) url.searchParams.set(name, query.get(name));
    return url;
  };
  document.addEventListener('click', (e) => {
    if (e.target.closest('#shell-theme')) return turnTheme();
    const link = e.target.closest('a[data-nav]');
    if (link?.dataset.nav === 'lang') {
      const url = new URL(location.href);
      url.searchParams.set('lang', new URL(link.href).searchParams.get('lang'));
      e.preventDefault();
      location.href = url;
      return undefined;
    }
    if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.button || !document.body.classList.contains('ready')) return undefined;
    const raw = link.getAttribute('href'), url = new URL(raw, location.href);
    if (link.dataset.nav === 'ward') {
      const query = new URLSearchParams(location.search), ward = url.searchParams.get('ward');
      if (query.get('ward') === ward) query.delete('ward'); else query.set('ward', ward);
      url.search = query;
    } else keep(url);
    e.preventDefault();
    if (link.dataset.nav === 'away') { location.href = url; return undefined; }   // a page that is whole HTML from the server
    const samePage = link.dataset.nav === 'ward';
    go(url.pathname + url.search + url.hash);
    for (const menu of all('.nav-phone[open]')) menu.open = false;
    if (!samePage) { scrollTo(0, 0); document.getElementById('content')?.focus({preventScroll: true}); }
    if (url.hash) waitFor(url.hash);
    return undefined;
  });
  const waitFor = (hash, tries = 40) => {
    const node = document.getElementById(hash.slice(1));
    if (node) node.scrollIntoView(); else if (tries) setTimeout(() => waitFor(hash, tries - 1), 100);
  };
  document.addEventListener('change', (e) => {
    const select = e.target.closest('select[data-filter]');
    if (!select || !document.body.classList.contains('ready')) return;
    const url = new URL(location.href);
    if (select.value) url.searchParams.set(select.dataset.filter, select.value); else url.searchParams.delete(select.dataset.filter);
    go(url.pathname + url.search);
  });
  const turnTheme = () => {
    const next = document.documentElement.dataset.bsTheme === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.bsTheme = next;
    try { localStorage.setItem('townboard-theme', next); } catch { /* private windows keep none */ }
  };
  foldForPhones();
  new MutationObserver((changes) => {
    foldForPhones();
    board.lookAtCharts?.();
    if (!document.body.classList.contains('ready')) dressPage(); else board.handAgain?.();
    if (changes.some((c) => c.addedNodes.length && c.target.nodeType === 1 && !c.target.closest('[data-f],[data-age],.js-plotly-plot'))) board.soon?.();
  }).observe(document.documentElement, {childList: true, subtree: true});
  board.dressPage = dressPage;
})();
