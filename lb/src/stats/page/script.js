// Progressive enhancement: without this the page is complete and refreshes itself.
(() => {
  'use strict';
  const seconds = Number(document.body.dataset.refresh) || 0;
  const live = document.getElementById('live');
  let paused = seconds === 0;
  let timer = 0;
  let busy = false;
  const sorts = new Map();

  // The header that refreshes pages without scripts would reload this one; stop it once loaded.
  window.addEventListener('load', () => { if (seconds) window.stop(); begin(); });

  function begin() {
    if (!live) return;
    live.hidden = false;
    live.innerHTML = '<i></i><span></span><button type=button></button>' +
      '<input type=search placeholder="search ( / )" aria-label="search">';
    live.querySelector('button').onclick = () => { paused = !paused; state(); plan(); };
    live.querySelector('input').oninput = filter;
    document.addEventListener('keydown', keys);
    document.addEventListener('visibilitychange', plan);
    document.querySelectorAll('input.all').forEach((box) => {
      box.hidden = false;
      box.onchange = () => box.closest('form').querySelectorAll('input[name=s]').forEach((one) => {
        if (!one.closest('tr').classList.contains('filtered')) one.checked = box.checked;
      });
    });
    document.querySelectorAll('table.rows').forEach(sortable);
    state();
    plan();
  }

  function state(lost) {
    live.className = 'live' + (lost ? ' lost' : paused ? ' off' : '');
    live.querySelector('span').textContent = lost ? 'no answer, trying again' : paused ? 'paused' : 'live';
    live.querySelector('button').textContent = paused ? 'go on' : 'pause';
  }

  function keys(event) {
    const search = live.querySelector('input');
    if (event.target === search) {
      if (event.key === 'Escape') { search.value = ''; filter(); search.blur(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || /INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) return;
    if (event.key === '/') { search.focus(); event.preventDefault(); }
    if (event.key === 'p') { paused = !paused; state(); plan(); }
    if (event.key === 'r') update();
  }

  function plan() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(update, (seconds || 5) * 1000);
  }

  function address() {
    const [path, query] = (location.pathname + location.search).split('?');
    const plain = path.replace(/;st=[^;]*/, '');
    return (plain.includes(';norefresh') ? plain : plain + ';norefresh') + (query === undefined ? '' : '?' + query);
  }

  async function update() {
    if (busy) return;
    busy = true;
    try {
      const answer = await fetch(address(), { cache: 'no-store', signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(answer.status);
      swap(new DOMParser().parseFromString(await answer.text(), 'text/html'));
      state();
    } catch { state(true); }
    busy = false;
    plan();
  }

  function swap(fresh) {
    for (const id of ['process']) {
      const [old, now] = [document.getElementById(id), fresh.getElementById(id)];
      if (old && now && old.innerHTML !== now.innerHTML) old.innerHTML = now.innerHTML;
    }
    const shown = new Map();
    document.querySelectorAll('section.proxy').forEach((one) => shown.set(one.dataset.proxy, one));
    fresh.querySelectorAll('section.proxy').forEach((one) => {
      const old = shown.get(one.dataset.proxy);
      if (old) rows(old.querySelector('table.rows'), one.querySelector('table.rows'));
    });
    document.querySelectorAll('[data-swap]').forEach((old) => {
      const now = fresh.querySelector('[data-swap="' + old.dataset.swap + '"]');
      if (now && old.innerHTML !== now.innerHTML) old.innerHTML = now.innerHTML;
    });
    filter();
  }

  function rows(table, fresh) {
    if (!table || !fresh) return;
    const body = table.tBodies[0];
    const old = new Map();
    for (const row of body.rows) old.set(row.dataset.k, row);
    for (const now of [...fresh.tBodies[0].rows]) {
      const row = old.get(now.dataset.k);
      if (!row) { body.appendChild(now); continue; }
      old.delete(now.dataset.k);
      if (row.className.replace(' filtered', '') !== now.className) row.className = now.className;
      for (let i = 0; i < row.cells.length && i < now.cells.length; i++) {
        const [a, b] = [row.cells[i], now.cells[i]];
        if (a.querySelector('input') || a.innerHTML === b.innerHTML) continue;
        const told = text(a) !== text(b);
        a.innerHTML = b.innerHTML;
        if (told && !b.textContent.match(/^\d+[smhd]/)) {
          a.classList.remove('changed'); void a.offsetWidth; a.classList.add('changed');
        }
      }
    }
    old.forEach((row) => row.remove());
    const sort = sorts.get(table);
    if (sort) order(table, sort.column, sort.down);
  }

  // A cell's own text, without its tooltip.
  function text(cell) {
    let out = '';
    (function walk(node) {
      for (const child of node.childNodes) {
        if (child.nodeType === 3) out += child.data;
        else if (!child.classList || !child.classList.contains('tips')) walk(child);
      }
    })(cell);
    return out.trim();
  }

  function filter() {
    const words = live.querySelector('input').value.toLowerCase().split(/\s+/).filter(Boolean);
    document.querySelectorAll('table.rows tbody tr').forEach((row) => {
      const proxy = row.closest('section') ? row.closest('section').dataset.proxy : '';
      const hay = (proxy + ' ' + row.textContent).toLowerCase();
      const server = /^[SLT]/.test(row.dataset.k || '');
      row.classList.toggle('filtered', words.length > 0 && server && !words.every((word) => hay.includes(word)));
    });
  }

  function value(row, column) {
    const shown = row.cells[column] ? text(row.cells[column]) : '';
    const times = shown.match(/^(\d+)([smhd])(?:(\d+)([smhd]))?$/);
    if (times) {
      const unit = { s: 1, m: 60, h: 3600, d: 86400 };
      return times[1] * unit[times[2]] + (times[3] ? times[3] * unit[times[4]] : 0);
    }
    return /^-?\d+$/.test(shown) ? Number(shown) : shown === '-' || shown === '?' || shown === '' ? -1 : shown.replace(/^\S+\s/, '');
  }

  function order(table, column, down) {
    const body = table.tBodies[0];
    const all = [...body.rows];
    const servers = all.filter((row) => /^[ST]/.test(row.dataset.k));
    servers.sort((a, b) => {
      const [x, y] = [value(a, column), value(b, column)];
      const way = typeof x === 'number' && typeof y === 'number' ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
      return (down ? -way : way) || a.dataset.k.localeCompare(b.dataset.k, undefined, { numeric: true });
    });
    const first = all.filter((row) => /^[FL]/.test(row.dataset.k));
    const last = all.filter((row) => /^B/.test(row.dataset.k));
    const wanted = [...first, ...servers, ...last];
    wanted.forEach((row, i) => { if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] || null); });
  }

  function sortable(table) {
    const heads = table.tHead.rows;
    const firsts = [...heads[0].cells].filter((cell) => cell.rowSpan === 2);
    const offset = firsts.length;
    const clickable = [[heads[0].querySelector('th.name'), offset - 1]];
    if (heads[1]) [...heads[1].cells].forEach((cell, i) => clickable.push([cell, offset + i]));
    else [...heads[0].cells].forEach((cell, i) => clickable.push([cell, i]));
    for (const [cell, column] of clickable) {
      if (!cell) continue;
      cell.classList.add('sortable');
      cell.tabIndex = 0;
      cell.title = 'sort';
      const go = () => {
        const was = cell.getAttribute('aria-sort');
        table.querySelectorAll('th[aria-sort]').forEach((one) => one.removeAttribute('aria-sort'));
        const next = was === 'descending' ? 'ascending' : was === 'ascending' ? '' : 'descending';
        if (!next) { sorts.delete(table); order(table, -1, false); return; }
        cell.setAttribute('aria-sort', next);
        sorts.set(table, { column, down: next === 'descending' });
        order(table, column, next === 'descending');
      };
      cell.onclick = go;
      cell.onkeydown = (event) => { if (event.key === 'Enter') go(); };
    }
  }
})();
