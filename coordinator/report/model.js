// From the report's data to what table and plots show. Nothing here touches the
// page.
'use strict';

const ALPHA = 0.05;

// Fields of the configuration by which people name a trial, with what stands
// before the value. Those that all trials share are left out.
const NAMED = [
  ['vocab_size', 'V'], ['lstm_num_layers', 'layers='], ['loss_rate', 'a='],
  ['temperature', 'T='], ['lr', 'lr='], ['batch_size', 'batch='],
  ['dropout', 'dropout='], ['optimizer', ''], ['weight_decay', 'decay='],
  ['scheduler_type', ''], ['train_epoch', 'epochs='], ['engine', ''],
  ['max_length', 'length='], ['select', ''], ['teacher', 'teacher '],
  ['seed', 'seed='],
];

const percent = (value) => (100 * value).toFixed(2) + ' %';
const points = (value) =>
    (value >= 0 ? '+' : '\u2212') + Math.abs(100 * value).toFixed(2);
const commas = (value) => value.toLocaleString('en-US');

function bytesText(bytes) {
  if (bytes < 1e6) return Math.round(bytes / 1e3) + ' KB';
  return (bytes / 1e6).toFixed(1) + ' MB';
}

function secondsText(seconds) {
  if (seconds < 60) return seconds.toFixed(1) + ' s';
  const all = Math.round(seconds);
  const two = (n) => String(n).padStart(2, '0');
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(all % 60)}` :
                     `${minutes}:${two(all % 60)}`;
}

function pText(p) {
  if (p < 0.0001) return 'p < 0.0001';
  return 'p = ' + p.toFixed(4);
}

// A loss has no part in a configuration that another loss does not use.
function partOf(trial, field) {
  const loss = trial.config.loss_option;
  if (loss === 'ce') {
    return !['loss_rate', 'temperature', 'teacher'].includes(field);
  }
  return loss !== 'mse' || field !== 'temperature';
}

function fieldsThatDiffer(trials) {
  const seen = {};
  for (const trial of trials) {
    for (const [field, value] of Object.entries(trial.config)) {
      if (!partOf(trial, field)) continue;
      (seen[field] = seen[field] || new Set()).add(value);
    }
  }
  return new Set(Object.keys(seen).filter((field) => seen[field].size > 1));
}

function nameOf(trial, differ) {
  const parts = [trial.model];
  for (const [field, before] of NAMED) {
    if (!differ.has(field) || !partOf(trial, field)) continue;
    const value = trial.config[field];
    parts.push(before + (field === 'teacher' ? value.slice(0, 6) : value));
  }
  return parts.join(' ');
}

// The student's size, by which plots are coloured.
const sizeOf = (trial) => trial.model.replace(/ (plain|mse)$/, '');

function paretoFront(rows, x) {
  const sorted = rows.slice().sort(
      (a, b) => x(a) - x(b) || b.accuracy - a.accuracy);
  const front = [];
  for (const row of sorted) {
    if (front.length === 0 ||
        row.accuracy > front[front.length - 1].accuracy) {
      front.push(row);
    }
  }
  return front;
}

// What the page shows of `data`: rows (teachers first), and comparisons by
// their keys.
function makeModel(data) {
  const results = data.results;
  const trials = results.trials;
  const differ = fieldsThatDiffer(trials);
  const gains = new Map(data.gains.map((gain) => [gain.trial_id, gain]));
  const againstBest = new Map(data.best.map((pair) => [pair.trial_id, pair]));
  const running = new Map(data.running.map((run) => [run.trial_id, run]));
  const sizes = Array.from(new Set(trials.map(sizeOf)));
  const bySize = (size) => Math.max(...trials.map((trial) =>
      sizeOf(trial) === size ? trial.parameters || 0 : 0));
  sizes.sort((a, b) => bySize(a) - bySize(b) || (a < b ? -1 : 1));
  const rows = [];
  for (const teacher of results.teachers) {
    rows.push({
      teacher: true, key: teacher.fingerprint, model: 'teacher ' + teacher.name,
      name: 'teacher ' + teacher.name, config: {}, done: true,
      parameters: teacher.parameters || null, accuracy: teacher.accuracy,
      seconds: teacher.seconds, notes: '', size: null, history: [],
    });
  }
  for (const trial of trials) {
    const done = trial.state === 'DONE';
    const run = running.get(trial.trial_id);
    const failed = [trial.reason, trial.log_tail].filter(Boolean).join(' ');
    rows.push({
      teacher: false, key: trial.trial_id, model: trial.model,
      name: nameOf(trial, differ), config: trial.config, done,
      state: trial.state, parameters: done ? trial.parameters : null,
      bytes: done ? trial.bytes : null, accuracy: done ? trial.accuracy : null,
      correct: trial.correct, total: trial.total,
      gain: gains.get(trial.trial_id) || null,
      plainGain: trial.gain === undefined ? null : trial.gain,
      againstBest: againstBest.get(trial.trial_id) || null,
      epochs: done ? trial.epochs : null,
      seconds: done ? trial.train_seconds : null, run: run || null,
      notes: done ? '' : failed, size: sizeOf(trial),
      plain: trial.config.loss_option === 'ce',
      part: (field) => partOf(trial, field),
      colour: sizes.indexOf(sizeOf(trial)) % 8,
      history: done ? trial.history : run ? run.history : [],
    });
  }
  const names = new Map(rows.map((row) => [row.key, row.name]));
  return {data, rows, differ, sizes, names, ended: data.ended};
}

// Rows that have every word of the filter somewhere in their text.
function matching(rows, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const textOf = (row) => [
    row.name, row.key, row.state || '', row.notes,
    ...Object.entries(row.config).map(([key, value]) => `${key}=${value}`),
    'T=' + row.config.temperature, 'a=' + row.config.loss_rate,
  ].join(' ').toLowerCase();
  return rows.filter((row) => {
    const text = textOf(row);
    return words.every((word) => text.includes(word));
  });
}

// The smallest student that ties with the best one; null when it is the best
// itself or nothing was compared.
function smallestTie(model) {
  const done = model.rows.filter((row) => !row.teacher && row.done);
  if (done.length === 0) return null;
  const ties = done.filter((row) => row !== done[0] && row.againstBest &&
      row.againstBest.p >= ALPHA && row.parameters < done[0].parameters);
  ties.sort((a, b) => a.parameters - b.parameters || b.accuracy - a.accuracy);
  return ties[0] || null;
}
