// Reads SentencePiece models (sentencepiece_model.proto) and writes the
// tokenizer.json that each corresponds to.
'use strict';

const fs = require('fs');

// The fields of a protobuf message as [number, value].
function* fields(bytes) {
  let pos = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[pos++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (pos < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag & 7) {
      case 0: yield [number, varint()]; break;
      case 1: yield [number, bytes.subarray(pos, pos += 8)]; break;
      case 2: {
        const length = varint();
        yield [number, bytes.subarray(pos, pos += length)];
        break;
      }
      case 5: yield [number, bytes.subarray(pos, pos += 4)]; break;
      default: throw new Error(`wire type ${tag & 7}`);
    }
  }
}

function readModel(path) {
  const model = {pieces: [], charsmap: '', byteFallback: false};
  for (const [number, value] of fields(fs.readFileSync(path))) {
    if (number === 1) {
      const piece = {text: '', score: 0, type: 1};
      for (const [n, v] of fields(value)) {
        if (n === 1) piece.text = v.toString('utf8');
        if (n === 2) piece.score = v.readFloatLE(0);
        if (n === 3) piece.type = v;
      }
      model.pieces.push(piece);
    } else if (number === 2) {
      for (const [n, v] of fields(value)) {
        if (n === 35) model.byteFallback = v !== 0;
      }
    } else if (number === 3) {
      for (const [n, v] of fields(value)) {
        if (n === 2) model.charsmap = v.toString('base64');
      }
    }
  }
  return model;
}

function idOf(model, text) {
  const id = model.pieces.findIndex((piece) => piece.text === text);
  if (id < 0) throw new Error(`no piece ${text}`);
  return id;
}

function special(id, content, options) {
  return {id, content, single_word: false, lstrip: false, rstrip: false,
    normalized: false, special: true, ...options};
}

const token = (id, type) => ({SpecialToken: {id, type_id: type}});
const sequence = (id, type) => ({Sequence: {id, type_id: type}});

// TemplateProcessing with these items; `ids` has the tokens' ids.
function template(single, pair, ids) {
  const tokens = {};
  for (const [id, value] of Object.entries(ids)) {
    tokens[id] = {id, ids: [value], tokens: [id]};
  }
  return {type: 'TemplateProcessing', single, pair, special_tokens: tokens};
}

const replace = (pattern, content) => ({type: 'Replace', pattern, content});
const metaspace = (scheme) => ({type: 'Metaspace', replacement: '\u2581',
  prepend_scheme: scheme, split: true});
const charsmap = (model) => model.charsmap === '' ? [] :
    [{type: 'Precompiled', precompiled_charsmap: model.charsmap}];

function t5(model, extraIds) {
  const eos = idOf(model, '</s>');
  const added = ['<pad>', '</s>', '<unk>'].map(
      (text) => special(idOf(model, text), text));
  for (let i = extraIds - 1, id = model.pieces.length; i >= 0; --i, ++id) {
    added.push(special(id, `<extra_id_${i}>`));
  }
  return {
    added,
    normalizer: {type: 'Sequence', normalizers: [...charsmap(model),
      replace({Regex: ' {2,}'}, ' ')]},
    splitter: metaspace('always'),
    processor: template([sequence('A', 0), token('</s>', 0)],
        [sequence('A', 0), token('</s>', 0), sequence('B', 0),
          token('</s>', 0)], {'</s>': eos}),
  };
}

// As older versions of transformers converted, and with bytes.
function mt5(model, extraIds) {
  const parts = t5(model, extraIds);
  parts.normalizer = charsmap(model)[0];
  parts.splitter = {type: 'Sequence', pretokenizers: [
    {type: 'WhitespaceSplit'},
    {type: 'Metaspace', replacement: '\u2581', str_rep: '\u2581',
      add_prefix_space: true},
  ]};
  return parts;
}

function xlnet(model) {
  const names = ['<unk>', '<s>', '</s>', '<cls>', '<sep>', '<pad>', '<mask>',
    '<eod>', '<eop>'];
  return {
    added: names.map((text) => special(idOf(model, text), text,
        {lstrip: text === '<mask>'})),
    normalizer: {type: 'Sequence', normalizers: [
      replace({String: '``'}, '"'), replace({String: '\'\''}, '"'),
      {type: 'NFKD'}, {type: 'StripAccents'}, ...charsmap(model),
      replace({Regex: ' {2,}'}, ' ')]},
    splitter: metaspace('always'),
    processor: template(
        [sequence('A', 0), token('<sep>', 0), token('<cls>', 2)],
        [sequence('A', 0), token('<sep>', 0), sequence('B', 1),
          token('<sep>', 1), token('<cls>', 2)],
        {'<sep>': idOf(model, '<sep>'), '<cls>': idOf(model, '<cls>')}),
  };
}

// The content of a tokenizer.json; T5's have `extraIds` tokens <extra_id_N>.
function convert(model, family, extraIds = 100) {
  const parts = {t5, mt5, xlnet}[family](model, extraIds);
  parts.added.sort((a, b) => a.id - b.id);
  return {
    version: '1.0', truncation: null, padding: null, added_tokens: parts.added,
    normalizer: parts.normalizer, pre_tokenizer: parts.splitter,
    post_processor: parts.processor, decoder: null,
    model: {type: 'Unigram', unk_id: idOf(model, '<unk>'),
      vocab: model.pieces.map((piece) => [piece.text, piece.score]),
      byte_fallback: model.byteFallback},
  };
}

module.exports = {convert, readModel, special, template, token, sequence,
  metaspace};
