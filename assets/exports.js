/* A large export is made first, with its rows counted on the page, and fetched when it is ready; without this script it is an ordinary link. */
(() => {
  'use strict';
  const EVERY_MS = 1000;
  const number = (n) => new Intl.NumberFormat(document.documentElement.lang || 'en').format(n);
  const filled = (words, n) => words.replace('{n}', number(n));
  const asked = async (address) => {
    const answer = await fetch(address, {headers: {Prefer: 'wait=0'}, credentials: 'same-origin', cache: 'no-store'});
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  };

  const made = async (link, line) => {
    let told = await asked(`${link.href}&manifest=1`);
    while (told.state === 'running') {
      const share = told.about_rows ? ` (${number(Math.min(99, Math.floor(100 * told.rows / told.about_rows)))} %)` : '';
      line.textContent = filled(link.dataset.making, told.rows) + share;
      await new Promise((go) => { setTimeout(go, EVERY_MS); });
      told = await asked(`${told.href}/manifest`);
    }
    return told;
  };

  document.addEventListener('click', async (event) => {
    const link = event.target.closest && event.target.closest('a[data-making]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const line = document.getElementById(link.getAttribute('aria-describedby'));
    if (!line || link.dataset.busy) return;
    link.dataset.busy = 'yes';
    line.textContent = filled(link.dataset.making, 0);
    try {
      const told = await made(link, line);
      if (told.state !== 'ready') throw new Error(told.words);
      line.textContent = filled(link.dataset.ready, told.rows);
      location.assign(told.href);
    } catch {
      line.textContent = link.dataset.failed;
    } finally {
      delete link.dataset.busy;
    }
  });
})();
