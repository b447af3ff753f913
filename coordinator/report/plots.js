// The plots: SVG drawn by D3. Each function fills its element anew.
'use strict';

const SYMBOL = {
  kl_div: d3.symbolCircle, ce: d3.symbolCircle, mse: d3.symbolTriangle,
};

const symbolPath = (row, size) =>
    d3.symbol().type(SYMBOL[row.config.loss_option] || d3.symbolSquare)
        .size(size)();

// "s2 full": the class that gives a row its colour.
const markClass = (row) =>
    `mark s${row.colour} ${row.plain ? 'plain' : 'full'}`;

const dimmed = (row, shown) => shown.has(row.key) ? '' : ' dim';

function chart(host, width, height, name) {
  host.textContent = '';
  return d3.select(host).append('svg').attr('class', 'chart')
      .attr('viewBox', `0 0 ${width} ${height}`).attr('role', 'img')
      .attr('aria-label', name);
}

function nothing(host, why) {
  host.textContent = '';
  d3.select(host).append('p').attr('class', 'nothing').text(why);
}

// Axes with their names, and the grid behind; `at` is the plot's rectangle.
function axes(svg, at, x, y) {
  const ticks = (axis, {format}, count) => {
    if (typeof format === 'function') return axis.ticks(count).tickFormat(format);
    return axis.ticks(count, format);
  };
  svg.append('g').attr('class', 'grid')
      .attr('transform', `translate(${at.left},0)`)
      .call(d3.axisLeft(y.scale).ticks(6).tickSize(at.left - at.right)
          .tickFormat(''));
  svg.append('g').attr('class', 'axis x')
      .attr('transform', `translate(0,${at.bottom})`)
      .call(ticks(d3.axisBottom(x.scale), x, 6));
  svg.append('g').attr('class', 'axis y')
      .attr('transform', `translate(${at.left},0)`)
      .call(ticks(d3.axisLeft(y.scale), y, 6));
  svg.append('text').attr('class', 'label').attr('text-anchor', 'middle')
      .attr('x', (at.left + at.right) / 2).attr('y', at.bottom + 38)
      .text(x.name);
  svg.append('text').attr('class', 'label').attr('text-anchor', 'middle')
      .attr('transform', `translate(14,${(at.top + at.bottom) / 2}) rotate(-90)`)
      .text(y.name);
}

// A range with some air around the values; a single value gets one too.
function padded(values, share, least) {
  const low = Math.min(...values), high = Math.max(...values);
  const air = Math.max((high - low) * share, least);
  return [low - air, high + air];
}

const rowTitle = (row) => [
  row.name, `accuracy ${percent(row.accuracy)}`,
  `${commas(row.parameters)} parameters`,
  row.teacher ? '' : `trained in ${secondsText(row.seconds)}`,
].filter(Boolean).join('\n');

// Accuracy over `x`, a value of a row that is plotted on a logarithmic axis.
function plotTradeoff(host, model, shown, x) {
  const rows = model.rows.filter((row) =>
      !row.teacher && row.done && x.value(row) > 0);
  if (rows.length === 0) return nothing(host, 'No trial has a result yet.');
  const teachers = model.rows.filter((row) =>
      row.teacher && row.accuracy !== null);
  const at = {left: 64, right: 800, top: 16, bottom: 380};
  const svg = chart(host, 860, 430, `Accuracy against ${x.name}`);
  const xs = rows.map(x.value);
  const xScale = d3.scaleLog().range([at.left, at.right])
      .domain([Math.min(...xs) / 1.4, Math.max(...xs) * 1.4]);
  const yScale = d3.scaleLinear().range([at.bottom, at.top]).domain(padded(
      rows.concat(teachers).map((row) => 100 * row.accuracy), 0.08, 0.2));
  axes(svg, at, {scale: xScale, name: x.name, format: x.format},
      {scale: yScale, name: 'test accuracy [%]'});
  const px = (row) => xScale(x.value(row));
  const py = (row) => yScale(100 * row.accuracy);
  const front = paretoFront(rows, x.value);
  svg.append('path').attr('class', 'front').attr('d',
      d3.line().x((p) => p[0]).y((p) => p[1]).curve(d3.curveStepAfter)(
          front.map((row) => [px(row), py(row)])
              .concat([[at.right, py(front[front.length - 1])]])));
  for (const teacher of teachers) {
    svg.append('line').attr('class', 'teacher')
        .attr('x1', at.left).attr('x2', at.right)
        .attr('y1', py(teacher)).attr('y2', py(teacher));
    svg.append('text').attr('x', at.left + 6).attr('y', py(teacher) - 5)
        .text(`${teacher.name}: ${percent(teacher.accuracy)}`);
  }
  svg.selectAll('path.mark').data(rows).join('path')
      .attr('class', (row) => markClass(row) + dimmed(row, shown))
      .attr('transform', (row) => `translate(${px(row)},${py(row)})`)
      .attr('d', (row) => symbolPath(row, 70))
      .append('title').text(rowTitle);
  // Of labels: one that would cover another or a mark is left out.
  const boxes = [];
  // Left of the mark where there is place before the axis.
  const side = (row) => px(row) - 7 - 7 * row.name.length >= at.left ? -7 : 7;
  const free = (row) => {
    const width = 7 * row.name.length, y = py(row) - 7;
    const left = px(row) + (side(row) < 0 ? -7 - width : 7);
    const right = left + width;
    if (boxes.some((box) => left < box.right && box.left < right &&
        Math.abs(box.y - y) < 14) ||
        rows.some((other) => left < px(other) + 5 && px(other) - 5 < right &&
          other !== row && Math.abs(py(other) - (y - 4)) < 10)) {
      return false;
    }
    boxes.push({left, right, y});
    return true;
  };
  svg.selectAll('text.name').data(front.slice().reverse().filter(free))
      .join('text')
      .attr('class', 'name')
      .attr('text-anchor', (row) => side(row) < 0 ? 'end' : 'start')
      .attr('x', (row) => px(row) + side(row)).attr('y', (row) => py(row) - 7)
      .text((row) => row.name);
}

function plotCurve(host, model, shown, y) {
  const rows = model.rows.filter((row) => row.history.length > 0);
  if (rows.length === 0) return nothing(host, 'No epoch has ended yet.');
  const at = {left: 64, right: 520, top: 16, bottom: 300};
  const svg = chart(host, 540, 350, y.name);
  const values = rows.flatMap((row) => row.history.map(y.value));
  const last = Math.max(...rows.map((row) => row.history.length));
  const xScale = d3.scaleLinear().range([at.left, at.right])
      .domain([1, Math.max(2, last)]);
  const yScale = d3.scaleLinear().range([at.bottom, at.top])
      .domain(padded(values, 0.05, 0.001));
  const whole = (epoch) => Number.isInteger(epoch) ? String(epoch) : '';
  axes(svg, at, {scale: xScale, name: 'epoch', format: whole},
      {scale: yScale, name: y.name});
  const line = d3.line().x((epoch) => xScale(epoch.epoch))
      .y((epoch) => yScale(y.value(epoch)));
  svg.selectAll('path.curve').data(rows).join('path')
      .attr('class', (row) => `curve s${row.colour}` +
          (row.plain ? ' plain' : '') + dimmed(row, shown))
      .attr('d', (row) => line(row.history))
      .append('title').text((row) => row.name);
  // A single epoch makes no line.
  svg.selectAll('circle').data(rows.filter((row) => row.history.length === 1))
      .join('circle').attr('r', 3)
      .attr('class', (row) => markClass(row) + dimmed(row, shown))
      .attr('cx', (row) => xScale(row.history[0].epoch))
      .attr('cy', (row) => yScale(y.value(row.history[0])))
      .append('title').text((row) => row.name);
}

function plotCurves(host, model, shown) {
  host.textContent = '';
  for (const y of [
    {name: 'validation accuracy [%]', value: (e) => 100 * e.valid_accuracy},
    {name: 'training loss (mean over rows)', value: (e) => e.train_loss},
  ]) {
    plotCurve(host.appendChild(document.createElement('div')), model, shown, y);
  }
}

// The axes on which trials differ, then size and accuracy.
function dimensionsOf(model, rows) {
  const dimensions = [];
  for (const field of model.differ) {
    if (field === 'teacher') continue;
    const values = rows.filter((row) => row.part(field))
        .map((row) => row.config[field]);
    const distinct = Array.from(new Set(values));
    if (distinct.length < 2) continue;
    dimensions.push({
      name: field, distinct: distinct.sort((a, b) => a < b ? -1 : 1),
      value: (row) => row.part(field) ? row.config[field] : null,
    });
  }
  dimensions.push(
      {name: 'parameters', log: true, value: (row) => row.parameters},
      {name: 'accuracy [%]', value: (row) => 100 * row.accuracy});
  return dimensions;
}

function scaleOf(dimension, rows, range) {
  if (dimension.distinct) {
    return d3.scalePoint().domain(dimension.distinct).range(range).padding(0.2);
  }
  const values = rows.map(dimension.value);
  if (dimension.log) {
    return d3.scaleLog().range(range)
        .domain([Math.min(...values) / 1.1, Math.max(...values) * 1.1]);
  }
  return d3.scaleLinear().range(range).domain(padded(values, 0.05, 0.1));
}

function plotParallel(host, model, shown) {
  const rows = model.rows.filter((row) => !row.teacher && row.done);
  if (rows.length === 0) return nothing(host, 'No trial has a result yet.');
  const dimensions = dimensionsOf(model, rows);
  const width = Math.max(640, 120 * dimensions.length);
  const svg = chart(host, width, 380, 'Parallel coordinates');
  const range = [340, 40];
  const x = d3.scalePoint().domain(dimensions.map((d) => d.name))
      .range([60, width - 60]);
  const scales = dimensions.map((d) => scaleOf(d, rows, range));
  // Where a field plays no part the line goes below the axis.
  const place = (row, i) => {
    const value = dimensions[i].value(row);
    return [x(dimensions[i].name), value === null ? 362 : scales[i](value)];
  };
  svg.selectAll('path.curve').data(rows).join('path')
      .attr('class', (row) => `curve s${row.colour}` +
          (row.plain ? ' plain' : '') + dimmed(row, shown))
      .attr('d', (row) => d3.line()(dimensions.map((_, i) => place(row, i))))
      .append('title').text(rowTitle);
  dimensions.forEach((dimension, i) => {
    const axis = d3.axisLeft(scales[i]);
    if (dimension.log) axis.ticks(4, '~s');
    const group = svg.append('g').attr('class', 'axis')
        .attr('transform', `translate(${x(dimension.name)},0)`).call(axis);
    group.append('text').attr('class', 'label').attr('text-anchor', 'middle')
        .attr('y', 18).text(dimension.name);
    if (rows.some((row) => dimension.value(row) === null)) {
      group.append('text').attr('x', 8).attr('y', 366)
          .attr('text-anchor', 'start').text('none');
    }
  });
}

const MOST_GAINS = 60;

function plotGains(host, model, shown) {
  const all = model.rows.filter((row) => row.gain);
  if (all.length === 0) {
    return nothing(host, 'No trial and its plain twin have both ended with ' +
        'their test predictions kept.');
  }
  const rows = all.slice(0, MOST_GAINS)
      .sort((a, b) => b.gain.difference - a.gain.difference);
  const at = {left: 300, right: 820, top: 10, bottom: 10 + 22 * rows.length};
  const svg = chart(host, 860, at.bottom + 50, 'Gain over the plain twin');
  const ends = rows.flatMap((row) => [100 * row.gain.low, 100 * row.gain.high]);
  const x = d3.scaleLinear().range([at.left, at.right])
      .domain(padded(ends.concat([0]), 0.05, 0.05));
  const y = d3.scaleBand().range([at.top, at.bottom])
      .domain(rows.map((row) => row.key));
  axes(svg, at,
      {scale: x, name: 'gain in test accuracy [percentage points]'},
      {scale: y, name: 'trial'});
  svg.selectAll('.axis.y .tick text').text((key) => model.names.get(key));
  svg.append('line').attr('class', 'zero').attr('x1', x(0)).attr('x2', x(0))
      .attr('y1', at.top).attr('y2', at.bottom);
  const marks = svg.selectAll('g.gain').data(rows).join('g')
      .attr('class', (row) => 'gain' + dimmed(row, shown))
      .attr('transform', (row) =>
        `translate(0,${y(row.key) + y.bandwidth() / 2})`);
  marks.append('line').attr('class', (row) => `whisker s${row.colour}`)
      .attr('x1', (row) => x(100 * row.gain.low))
      .attr('x2', (row) => x(100 * row.gain.high));
  marks.append('path').attr('class', markClass)
      .attr('d', (row) => symbolPath(row, 60))
      .attr('transform', (row) => `translate(${x(100 * row.gain.difference)},0)`);
  marks.append('title').text((row) => [
    row.name, `gain ${points(row.gain.difference)} points, 95 % ` +
        `${points(row.gain.low)} to ${points(row.gain.high)}`,
    `${pText(row.gain.p)}; right alone: ${row.gain.only_first} rows, its ` +
        `twin ${row.gain.only_second}`,
  ].join('\n'));
  if (all.length > rows.length) {
    d3.select(host).append('p')
        .text(`The ${rows.length} most accurate of ${all.length} are shown.`);
  }
}

// What a pair says of the first against the second.
function verdictOf(pair) {
  if (pair.p >= ALPHA) return 'tie';
  return pair.only_first > pair.only_second ? 'better' : 'worse';
}

// The pair as its second sees it.
const turned = (pair) => ({
  ...pair, only_first: pair.only_second, only_second: pair.only_first,
});

// "first\nsecond" -> pair, in both directions.
function pairsOf(model) {
  const keys = model.data.compared;
  const pairs = new Map();
  for (const [i, j, onlyFirst, onlySecond, p] of model.data.pairs) {
    const pair = {only_first: onlyFirst, only_second: onlySecond, p};
    pairs.set(keys[i] + '\n' + keys[j], pair);
    pairs.set(keys[j] + '\n' + keys[i], turned(pair));
  }
  return pairs;
}

const MOST_CELLS = 40;

function plotTies(host, model, shown) {
  const keys = model.data.compared.slice(0, MOST_CELLS);
  if (keys.length < 2) {
    return nothing(host, 'No two models have ended with their test ' +
        'predictions kept.');
  }
  const side = Math.max(14, Math.min(30, 560 / keys.length));
  const at = {left: 300, top: 34};
  const end = side * keys.length;
  const svg = chart(host, at.left + end + 20, at.top + end + 34,
      'Which differences are ties');
  const pairs = pairsOf(model);
  const cells = [];
  keys.forEach((row, i) => keys.forEach((column, j) => {
    const pair = pairs.get(row + '\n' + column);
    if (pair) cells.push({row, column, i, j, pair});
  }));
  const put = (x, y, text, anchor) => svg.append('text').attr('x', x)
      .attr('y', y).attr('text-anchor', anchor).text(text);
  keys.forEach((key, i) => {
    put(at.left - 8, at.top + side * (i + 0.5) + 4,
        `${model.names.get(key)}  ${i + 1}`, 'end');
    put(at.left + side * (i + 0.5), at.top - 8, i + 1, 'middle');
  });
  put(at.left + end / 2, 12, 'compared with the model of that number', 'middle')
      .attr('class', 'label');
  svg.selectAll('rect').data(cells).join('rect')
      .attr('class', (cell) => `cell ${verdictOf(cell.pair)}` +
          (shown.has(cell.row) ? '' : ' dim'))
      .attr('x', (cell) => at.left + side * cell.j)
      .attr('y', (cell) => at.top + side * cell.i)
      .attr('width', side).attr('height', side)
      .append('title').text((cell) => sentenceOf(model, cell.row, cell.column,
          cell.pair));
  let x = at.left;
  for (const [kind, text] of [['better', 'row is better'], ['tie', 'tie'],
    ['worse', 'row is worse']]) {
    svg.append('rect').attr('class', 'cell ' + kind).attr('x', x)
        .attr('y', at.top + end + 12).attr('width', 14).attr('height', 14);
    put(x + 18, at.top + end + 23, text, 'start');
    x += 30 + 7 * text.length;
  }
  if (model.data.compared.length > keys.length) {
    d3.select(host).append('p').text(`The ${keys.length} most accurate of ` +
        `${model.data.compared.length} are shown; below any two can be chosen.`);
  }
}

function sentenceOf(model, first, second, pair) {
  const a = model.names.get(first), b = model.names.get(second);
  const verdict = {
    tie: `${a} and ${b} tie`, better: `${a} is better than ${b}`,
    worse: `${a} is worse than ${b}`,
  }[verdictOf(pair)];
  return `${verdict}: ${commas(pair.only_first)} test rows are right by the ` +
      `first alone, ${commas(pair.only_second)} by the second alone, ` +
      `${pText(pair.p)}.`;
}
