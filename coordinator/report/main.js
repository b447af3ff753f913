// The page: table, filter, and what follows new data.
'use strict';

const byId = (id) => document.getElementById(id);

// title, value to sort by, text; a value of null comes last.
const COLUMNS = [
  {title: 'model', value: (row) => row.name, text: (row) => row.name},
  {title: 'hidden', number: true, value: (row) => row.config.hidden_dim},
  {title: 'embedding', number: true, value: (row) => row.config.embedding_dim},
  {title: 'loss rate', number: true,
    value: (row) => row.part && row.part('loss_rate') ? row.config.loss_rate :
                                                        null},
  {title: 'temperature', number: true,
    value: (row) => row.part && row.part('temperature') ?
        row.config.temperature : null},
  {title: 'parameters', number: true, value: (row) => row.parameters,
    text: (row) => commas(row.parameters)},
  {title: 'size', number: true, value: (row) => row.bytes,
    text: (row) => bytesText(row.bytes)},
  {title: 'accuracy', number: true, value: (row) => row.accuracy,
    text: (row) => percent(row.accuracy)},
  {title: 'gain [points]', number: true,
    value: (row) => row.gain ? row.gain.difference : row.plainGain,
    text: (row) => gainText(row)},
  {title: 'against the best', value: (row) => row.againstBest ?
      row.againstBest.p : null,
  text: (row) => `${row.againstBest.p >= ALPHA ? 'tie' : 'worse'}, ` +
      pText(row.againstBest.p)},
  {title: 'epochs', number: true, value: (row) => row.epochs},
  {title: 'train time', number: true, value: (row) => row.seconds,
    text: (row) => secondsText(row.seconds)},
  {title: 'state', value: (row) => stateOf(row)},
  {title: 'trial', value: (row) => row.teacher ? null : row.key.slice(0, 12)},
  {title: 'notes', value: (row) => row.notes || null, notes: true},
];

const view = {model: null, sort: null, descending: true, filter: ''};

function gainText(row) {
  if (!row.gain) return points(row.plainGain);
  return `${points(row.gain.difference)} (${points(row.gain.low)} to ` +
      `${points(row.gain.high)})`;
}

function stateOf(row) {
  if (row.teacher) return null;
  if (!row.run) return row.state.toLowerCase();
  return `epoch ${row.run.epoch}, ` +
      `${Math.round(100 * row.run.epoch_fraction)} %`;
}

function textOf(column, row) {
  const value = column.value(row);
  if (value === null || value === undefined) return '-';
  return column.text ? column.text(row) : String(value);
}

function sorted(rows) {
  if (view.sort === null) return rows;
  const value = (row) => {
    const found = view.sort.value(row);
    return found === undefined ? null : found;
  };
  return rows.slice().sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === null || y === null) return (x === null) - (y === null);
    const order = x < y ? -1 : x > y ? 1 : 0;
    return view.descending ? -order : order;
  });
}

function sortBy(column) {
  // Numbers begin with the greatest, names with the first.
  view.descending = view.sort === column ? !view.descending : !!column.number;
  view.sort = column;
  showTable();
}

function showTable() {
  const rows = sorted(matching(view.model.rows, view.filter));
  const table = d3.select(byId('results'));
  table.selectAll('thead').data([0]).join('thead').selectAll('tr').data([0])
      .join('tr').selectAll('th').data(COLUMNS).join(
          (enter) => {
            const heads = enter.append('th').attr('scope', 'col')
                .classed('number', (column) => column.number);
            heads.append('button').attr('type', 'button')
                .text((column) => column.title).on('click', sortBy);
            return heads;
          })
      .attr('aria-sort', (column) => column !== view.sort ? 'none' :
          view.descending ? 'descending' : 'ascending');
  const best = view.model.rows.find((row) => !row.teacher && row.done);
  table.selectAll('tbody').data([0]).join('tbody').selectAll('tr')
      .data(rows, (row) => row.key).join('tr').order()
      .attr('class', (row) => row.teacher ? 'teacher' :
          row === best ? 'best' : null)
      .selectAll('td')
      .data((row) => COLUMNS.map((column) => ({column, row}))).join('td')
      .classed('number', (cell) => cell.column.number)
      .classed('notes', (cell) => cell.column.notes)
      .text((cell) => textOf(cell.column, cell.row));
  const trials = (list) => list.filter((row) => !row.teacher).length;
  byId('shown').textContent =
      `${trials(rows)} of ${trials(view.model.rows)} trials`;
}

function showSummary() {
  const {results} = view.model.data;
  const trials = view.model.rows.filter((row) => !row.teacher);
  const best = trials.find((row) => row.done);
  const tie = smallestTie(view.model);
  const student = (row) => [percent(row.accuracy),
    `${row.name}, ${commas(row.parameters)} parameters`];
  const facts = [];
  for (const teacher of results.teachers) {
    facts.push(['teacher ' + teacher.name, teacher.accuracy === null ?
        ['no labelled test rows'] : [percent(teacher.accuracy)]]);
  }
  if (best) facts.push(['best student', student(best)]);
  if (tie) facts.push(['smallest that ties with it', student(tie)]);
  if (best) facts.push(['test rows', [commas(best.total)]]);
  const counts = new Map();
  for (const row of trials) {
    counts.set(row.state, (counts.get(row.state) || 0) + 1);
  }
  facts.push(['trials', [Array.from(counts).map(
      ([state, count]) => `${commas(count)} ${state.toLowerCase()}`)
      .join(', ') || 'not known yet']]);
  const dataset = results.dataset ? `on ${results.dataset}` : '';
  byId('dataset').textContent = dataset;
  document.title = `KoDistil sweep ${dataset}`;
  const cards = d3.select(byId('summary')).selectAll('div').data(facts)
      .join('div');
  cards.text('');
  cards.append('dt').text((fact) => fact[0]);
  const values = cards.append('dd').text((fact) => fact[1][0]);
  values.filter((fact) => fact[1].length > 1).append('small')
      .text((fact) => fact[1][1]);
}

function showLegend() {
  const items = view.model.sizes.map((size, i) => ({
    text: size, row: {colour: i % 8, plain: false, config: {}},
    shape: d3.symbolCircle,
  }));
  const losses = new Set(view.model.rows.map((row) => row.config.loss_option));
  const shape = (text, plain, type) => items.push(
      {text, row: {colour: 6, plain, config: {}}, shape: type});
  if (losses.has('mse')) shape('loss mse', false, d3.symbolTriangle);
  if (losses.has('ce')) shape('plain twin', true, d3.symbolCircle);
  const entries = d3.select(byId('legend')).selectAll('li').data(items)
      .join('li');
  entries.text('');
  entries.append('svg').attr('viewBox', '-7 -7 14 14')
      .attr('aria-hidden', 'true').append('path')
      .attr('class', (item) => markClass(item.row))
      .attr('d', (item) => d3.symbol().type(item.shape).size(70)());
  entries.append('span').text((item) => item.text);
}

function showPlots() {
  const shown = new Set(
      matching(view.model.rows, view.filter).map((row) => row.key));
  plotTradeoff(byId('parameters'), view.model, shown,
      {name: 'parameters (log)', format: '~s', value: (row) => row.parameters});
  plotTradeoff(byId('time'), view.model, shown,
      {name: 'training time [s] (log)', format: '~g',
        value: (row) => row.seconds});
  plotCurves(byId('curves'), view.model, shown);
  plotParallel(byId('parallel'), view.model, shown);
  plotGains(byId('gains'), view.model, shown);
  plotTies(byId('ties'), view.model, shown);
}

function showChoice() {
  const keys = view.model.data.compared;
  for (const [id, chosen] of [['first', 0], ['second', 1]]) {
    const select = byId(id);
    const before = select.value;
    d3.select(select).selectAll('option').data(keys).join('option')
        .attr('value', (key) => key)
        .text((key) => view.model.names.get(key));
    select.value = keys.includes(before) ? before : keys[chosen] || '';
  }
  showVerdict();
}

function showVerdict() {
  const first = byId('first').value, second = byId('second').value;
  const pair = pairsOf(view.model).get(first + '\n' + second);
  byId('verdict').textContent =
      pair ? sentenceOf(view.model, first, second, pair) : '';
}

function show(data) {
  view.model = makeModel(data);
  showSummary();
  showLegend();
  showTable();
  showPlots();
  showChoice();
}

async function answerOf(path) {
  const response = await fetch(path, {cache: 'no-store'});
  if (!response.ok) throw new Error(`${path}: answer ${response.status}`);
  return response.json();
}

// Of a sweep that runs: asks for news until it has ended.
function follow() {
  let version = '';
  const say = (lines) => {
    byId('status').textContent = lines.join('\n');
  };
  const ask = async () => {
    let status = null;
    try {
      status = await answerOf('status.json');
      if (status.version !== version) {
        show(await answerOf('data.json'));
        version = status.version;
      }
    } catch (error) {
      say(['The coordinator cannot be reached: the sweep has ended or was ' +
          'stopped. Its report is report.html in the work folder.']);
      return;
    }
    if (view.model.ended) {
      say(['The sweep has ended.']);
      return;
    }
    say(['The sweep runs; this page follows it.', ...status.lines]);
    setTimeout(ask, 2000);
  };
  ask();
}

byId('filter').addEventListener('input', (event) => {
  view.filter = event.target.value;
  showTable();
  showPlots();
});
byId('first').addEventListener('change', showVerdict);
byId('second').addEventListener('change', showVerdict);
show(JSON.parse(byId('data').textContent));
if (document.body.dataset.live === 'true') follow();
