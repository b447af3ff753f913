// Writes small tokenizers and what Hugging Face answers; see README.md.
'use strict';

const {execFileSync} = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const {parseArgs} = require('util');
const {Tokenizer, TruncationStrategy, byteLevelAlphabet} =
    require('tokenizers');
const version = require('tokenizers/package.json').version;
const {learnMerges, vocabOf} = require('./bpe');
const spm = require('./spm');
const {EDGES, mixed} = require('./texts');

const UNDERLINE = '\u2581';
const SAMPLE_CASES = 16;
const MERGES = 160;
const EXTRA_IDS = 5;

// Pieces that a WordPiece vocabulary would have.
function wordPieces(first, words, merges) {
  const counts = new Map();
  for (const word of words) {
    for (const c of word) counts.set(c, (counts.get(c) || 0) + 1);
  }
  const common = [...counts].filter(([, n]) => n >= 60).map(([c]) => c).sort();
  const pieces = [...common, ...merges.map((pair) => pair.replace(' ', ''))];
  return vocabOf([...first, ...pieces], pieces.map((p) => '##' + p), []);
}

function file(parts) {
  return {version: '1.0', truncation: null, padding: null, added_tokens: [],
    normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null,
    ...parts};
}

const added = (vocab, names, options) => names.map(
    (name) => spm.special(vocab[name], name, options));

function bert(words, merges, lowercase) {
  const names = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const vocab = wordPieces(names, words, merges);
  const {token, sequence} = spm;
  return file({
    added_tokens: added(vocab, names),
    normalizer: {type: 'BertNormalizer', clean_text: true,
      handle_chinese_chars: true, strip_accents: null, lowercase},
    pre_tokenizer: {type: 'BertPreTokenizer'},
    post_processor: lowercase ?
        {type: 'BertProcessing', sep: ['[SEP]', vocab['[SEP]']],
          cls: ['[CLS]', vocab['[CLS]']]} :
        spm.template(
            [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0)],
            [token('[CLS]', 0), sequence('A', 0), token('[SEP]', 0),
              sequence('B', 1), token('[SEP]', 1)],
            {'[CLS]': vocab['[CLS]'], '[SEP]': vocab['[SEP]']}),
    model: {type: 'WordPiece', unk_token: '[UNK]',
      continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab},
  });
}

function bpe(vocab, merges, options) {
  return {type: 'BPE', dropout: null, unk_token: null,
    continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false,
    vocab, merges, ...options};
}

// The characters that stand for the bytes of a word.
function byteWords(texts) {
  const table = {};
  let next = 256;
  for (let byte = 0; byte < 256; ++byte) {
    const printable = (byte >= 0x21 && byte <= 0x7e) ||
        (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    table[byte] = String.fromCodePoint(printable ? byte : next++);
  }
  const words = texts.join(' ').match(/ ?[^ ]+/g);
  return words.map(
      (word) => Array.from(Buffer.from(word), (byte) => table[byte]).join(''));
}

function gpt2(texts) {
  const merges = learnMerges(byteWords(texts), MERGES);
  const vocab = vocabOf([], byteLevelAlphabet().sort(), merges);
  vocab['<|endoftext|>'] = Object.keys(vocab).length;
  return file({
    added_tokens: added(vocab, ['<|endoftext|>']),
    pre_tokenizer: {type: 'ByteLevel', add_prefix_space: false,
      trim_offsets: true},
    post_processor: {type: 'ByteLevel', add_prefix_space: true,
      trim_offsets: false},
    model: bpe(vocab, merges),
  });
}

// With a space before the text, and newer files' pairs.
function roberta(texts) {
  const names = ['<s>', '<pad>', '</s>', '<unk>', '<mask>'];
  const merges = learnMerges(byteWords(texts), MERGES);
  const vocab = vocabOf(names, byteLevelAlphabet().sort(), merges);
  return file({
    added_tokens: [...added(vocab, names.slice(0, 4)),
      ...added(vocab, ['<mask>'], {lstrip: true})],
    pre_tokenizer: {type: 'ByteLevel', add_prefix_space: true,
      trim_offsets: true, use_regex: true},
    post_processor: {type: 'RobertaProcessing', sep: ['</s>', vocab['</s>']],
      cls: ['<s>', vocab['<s>']], trim_offsets: true, add_prefix_space: true},
    model: bpe(vocab, merges.map((pair) => pair.split(' ')),
        {unk_token: '<unk>', byte_fallback: false, ignore_merges: true}),
  });
}

// KoGPT2: SentencePiece-like, with tokens for emoticons.
function kogpt2(words) {
  const names = ['<s>', '</s>', '<usr>', '<pad>', '<sys>', '<unk>', '<mask>',
    '<unused0>', '<unused1>', ':)', ':-)', '\u{1f624}'];
  const spaced = words.map((word) => UNDERLINE + word);
  const merges = learnMerges(spaced, MERGES);
  const characters = [...new Set(Array.from(spaced.join('')))].sort();
  const vocab = vocabOf(names, characters.slice(0, 350), merges.filter(
      (pair) => characters.indexOf(Array.from(pair)[0]) >= 0));
  const known = merges.filter((pair) => {
    const [a, b] = pair.split(' ');
    return a in vocab && b in vocab;
  });
  return file({
    added_tokens: added(vocab, names, {special: true}),
    normalizer: {type: 'NFKC'},
    pre_tokenizer: {type: 'Metaspace', replacement: UNDERLINE,
      str_rep: UNDERLINE, add_prefix_space: true},
    model: bpe(vocab, known, {unk_token: '<unk>'}),
  });
}

function kobart(words) {
  const parts = kogpt2(words);
  const {token, sequence} = spm;
  const vocab = parts.model.vocab;
  parts.model.fuse_unk = true;
  parts.normalizer = null;
  parts.post_processor = spm.template(
      [token('<s>', 0), sequence('A', 0), token('</s>', 0)],
      [token('<s>', 0), sequence('A', 0), token('</s>', 0), token('</s>', 0),
        sequence('B', 0), token('</s>', 0)],
      {'<s>': vocab['<s>'], '</s>': vocab['</s>']});
  return parts;
}

// Bytes for what is unknown, a prefix at the start of the text alone.
function bytes(words) {
  const spaced = words.map((word) => UNDERLINE + word);
  const merges = learnMerges(spaced, 60);
  const names = ['<unk>', '<s>', '</s>'];
  for (let byte = 0; byte < 256; ++byte) {
    names.push('<0x' + byte.toString(16).toUpperCase().padStart(2, '0') + '>');
  }
  const characters = [...new Set(merges.join('').replace(/ /g, ''))].sort();
  const vocab = vocabOf(names, characters, merges);
  return file({
    added_tokens: [...added(vocab, names.slice(0, 3)),
      // Found in the normalised text, and only as a word.
      {...spm.special(Object.keys(vocab).length, 'word'), single_word: true,
        normalized: true, special: false},
      {...spm.special(Object.keys(vocab).length + 1, 'LR'), lstrip: true,
        rstrip: true, normalized: true, special: false}],
    normalizer: {type: 'Sequence', normalizers: [
      {type: 'Strip', strip_left: true, strip_right: true}, {type: 'NFC'},
      {type: 'Lowercase'}]},
    pre_tokenizer: {type: 'Metaspace', replacement: UNDERLINE,
      prepend_scheme: 'first', split: false},
    post_processor: {type: 'Sequence', processors: [
      {type: 'ByteLevel', add_prefix_space: true, trim_offsets: false,
        use_regex: true},
      spm.template([spm.token('<s>', 0), spm.sequence('A', 0)],
          [spm.token('<s>', 0), spm.sequence('A', 0), spm.token('<s>', 1),
            spm.sequence('B', 1)], {'<s>': vocab['<s>']})]},
    model: bpe(vocab, merges,
        {unk_token: '<unk>', fuse_unk: true, byte_fallback: true}),
  });
}

// WordPiece after a pre-tokenizer of many parts.
function splits(normalizer, pretokenizers) {
  const names = ['[UNK]'];
  const characters = Array.from('ab1 .,!\'\uac00\uc601\ud654\u314b\n');
  const vocab = vocabOf(names, characters, []);
  for (const c of characters) vocab['##' + c] = Object.keys(vocab).length;
  return file({
    normalizer, pre_tokenizer: {type: 'Sequence', pretokenizers},
    model: {type: 'WordPiece', unk_token: '[UNK]',
      continuing_subword_prefix: '##', max_input_chars_per_word: 5, vocab},
  });
}

const split = (pattern, behavior, invert) =>
  ({type: 'Split', pattern, behavior, invert});

const GPT2_PATTERN = '\'s|\'t|\'re|\'ve|\'m|\'ll|\'d| ?\\p{L}+| ?\\p{N}+|' +
    ' ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+';

const SPLITS = {
  splits_gpt2: splits(null, [
    split({Regex: GPT2_PATTERN}, 'Isolated', false),
    {type: 'Digits', individual_digits: false}]),
  splits_next: splits({type: 'StripAccents'}, [
    split({Regex: '\\s+'}, 'MergedWithNext', false),
    {type: 'Punctuation', behavior: 'MergedWithPrevious'},
    {type: 'Digits', individual_digits: true}]),
  splits_previous: splits({type: 'NFD'}, [
    split({Regex: '\\s'}, 'MergedWithPrevious', false),
    {type: 'Punctuation', behavior: 'Contiguous'}]),
  splits_words: splits({type: 'NFKD'}, [
    {type: 'CharDelimiterSplit', delimiter: 'a'}, {type: 'Whitespace'},
    split({String: 'b'}, 'Isolated', true)]),
  splits_head: splits({type: 'Sequence', normalizers: [
    {type: 'Prepend', prepend: 'b'},
    {type: 'Replace', pattern: {Regex: '\\s+'}, content: ' '}]}, [
    {type: 'WhitespaceSplit'}, {type: 'Punctuation'}]),
};

// A normalisation table like nmt_nfkc, but small.
function normalisationRules() {
  const rules = [];
  const rule = (from, to) => {
    const hex = (text) => Array.from(
        text, (c) => c.codePointAt(0).toString(16).toUpperCase()).join(' ');
    rules.push(`${hex(from)}\t${hex(to)}`);
  };
  for (let c = 0xff01; c < 0xff5f; ++c) {
    rule(String.fromCodePoint(c), String.fromCodePoint(c - 0xfee0));
  }
  for (const c of '\t\n\r\u00a0\u3000\u2009\u202f\u200b') rule(c, ' ');
  for (const c of '\u0001\u007f\ufeff\u00ad') rule(c, '');
  for (const c of '\ufb01\u2122\u33a5\u00b2\u00bd\u2460\u2167\u338f\u32fe') {
    rule(c, c.normalize('NFKC'));
  }
  rule('\r\n', ' ');
  for (const c of '\u00e9\u00ef\u1ebf\uad6d\ud55c\uac00') {
    rule(c.normalize('NFD'), c);
  }
  return rules.join('\n') + '\n';
}

function trainSpm(folder, name, texts, flags) {
  const prefix = path.join(folder, name);
  fs.writeFileSync(prefix + '.txt', texts.join('\n') + '\n');
  fs.writeFileSync(prefix + '.tsv', normalisationRules());
  execFileSync('spm_train', [`--input=${prefix}.txt`,
    `--model_prefix=${prefix}`, `--normalization_rule_tsv=${prefix}.tsv`,
    '--character_coverage=0.98', '--hard_vocab_limit=false',
    '--num_threads=1', ...flags], {stdio: 'ignore'});
  return prefix + '.model';
}

// Scores of four digits: the file is smaller.
function rounded(content) {
  for (const entry of content.model.vocab) {
    entry[1] = Number(entry[1].toFixed(4));
  }
  return content;
}

function spmKinds(texts) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'spm-'));
  const t5 = ['--pad_id=0', '--eos_id=1', '--unk_id=2', '--bos_id=-1'];
  const models = {
    t5: trainSpm(folder, 't5', texts, ['--vocab_size=520', ...t5]),
    mt5: trainSpm(folder, 'mt5', texts.slice(0, 200),
        ['--vocab_size=700', '--byte_fallback=true', ...t5]),
    xlnet: trainSpm(folder, 'xlnet', texts, ['--vocab_size=520',
      '--control_symbols=<cls>,<sep>,<pad>,<mask>,<eod>',
      '--user_defined_symbols=<eop>']),
    kobert: trainSpm(folder, 'kobert', texts, ['--vocab_size=480',
      '--model_type=bpe', '--unk_id=0', '--unk_piece=[UNK]', '--pad_id=1',
      '--pad_piece=[PAD]', '--bos_id=-1', '--eos_id=-1',
      '--control_symbols=[CLS],[SEP],[MASK]']),
  };
  const contents = Object.fromEntries(Object.entries(models).map(
      ([name, model]) => [name, fs.readFileSync(model)]));
  const kinds = Object.fromEntries(['t5', 'mt5', 'xlnet'].map(
      (family) => [family, rounded(spm.convert(
          spm.readModel(models[family]), family, EXTRA_IDS))]));
  fs.rmSync(folder, {recursive: true});
  return {contents, kinds};
}

const CLASSES = {
  bert_cased: {tokenizer_class: 'BertTokenizer', do_lower_case: false},
  bert_uncased: {tokenizer_class: 'BertTokenizer', do_lower_case: true},
  gpt2: {tokenizer_class: 'GPT2Tokenizer'},
  roberta: {tokenizer_class: 'RobertaTokenizer', add_prefix_space: true},
  t5: {tokenizer_class: 'T5Tokenizer', extra_ids: EXTRA_IDS},
  mt5: {tokenizer_class: 'MT5Tokenizer', extra_ids: EXTRA_IDS},
  xlnet: {tokenizer_class: 'XLNetTokenizer'},
};

// Everything but letters, numbers, punctuation, symbols and the space is
// written as an escape, so that the file shows what is in it.
function json(value) {
  return JSON.stringify(value).replace(
      /[^\p{L}\p{N}\p{P}\p{S} ]/gu,
      (c) => Array.from({length: c.length}, (_, i) =>
        '\\u' + c.charCodeAt(i).toString(16).padStart(4, '0')).join(''));
}

// Whether a limit leaves nothing of the difference between two texts. This
// version of tokenizers cuts each text to the limit before it asks which is the
// longer, others do not: who keeps the odd token then is not asked here.
async function bothTooLong(tokenizer, first, second, limit) {
  const length = async (a, b) => (await tokenizer.encode(
      a, b, {addSpecialTokens: false})).getLength();
  const both = (await tokenizer.encode(first, second)).getLength();
  const budget = limit - (both - await length(first, second));
  return Math.min(await length(first, null), await length(second, null)) >=
      budget;
}

// [first text, second text or -1, limit or 0, ids, types or 0 for all zero]
async function casesOf(tokenizer, texts) {
  const asked = texts.map((_, i) => [i, -1, 0]);
  for (let i = 9; i < texts.length; i += 17) {
    for (const limit of [0, 7, 13, 21]) {
      asked.push([i, (i * 5 + 3) % texts.length, limit]);
    }
    asked.push([i, -1, 5], [i, -1, 8]);
  }
  const cases = [];
  for (const [first, second, limit] of asked) {
    tokenizer.disableTruncation();
    if (limit > 0 && second >= 0 &&
        await bothTooLong(tokenizer, texts[first], texts[second], limit)) {
      continue;
    }
    if (limit > 0) {
      tokenizer.setTruncation(limit,
          {strategy: TruncationStrategy.LongestFirst});
    }
    const encoding = await tokenizer.encode(
        texts[first], second < 0 ? null : texts[second]);
    const types = encoding.getTypeIds();
    cases.push([first, second, limit, encoding.getIds(),
      types.some((type) => type !== 0) ? types : 0]);
  }
  return cases;
}

async function main() {
  const {values} = parseArgs({options: {
    sample: {type: 'string'}, output: {type: 'string'},
  }});
  const sample = fs.readFileSync(values.sample, 'utf8').split('\n')
      .map((line) => line.split('\t')).filter((row) => row.length === 4)
      .map((row) => row[3]);
  const words = sample.join(' ').split(/\s+/);
  const merges = learnMerges(words, MERGES);
  const spmParts = spmKinds(sample);
  const kinds = {
    bert_cased: bert(words, merges, false),
    bert_uncased: bert(words, merges, true),
    gpt2: gpt2(sample), roberta: roberta(sample), kogpt2: kogpt2(words),
    kobart: kobart(words), bytes: bytes(words), ...spmParts.kinds, ...SPLITS,
  };
  const texts = [...EDGES, ...mixed(SAMPLE_CASES),
    ...sample.slice(-SAMPLE_CASES)];
  fs.rmSync(values.output, {recursive: true, force: true});
  const write = (kind, name, content) => {
    fs.mkdirSync(path.join(values.output, kind), {recursive: true});
    fs.writeFileSync(path.join(values.output, kind, name), content);
  };
  write('', 'texts.json', '{"texts": [\n' +
      texts.map(json).join(',\n') + '\n]}\n');
  for (const [kind, content] of Object.entries(kinds)) {
    const tokenizer = Tokenizer.fromString(JSON.stringify(content));
    const cases = await casesOf(tokenizer, texts);
    write(kind, 'tokenizer.json', json(content) + '\n');
    write(kind, 'tokenizer_config.json', json(CLASSES[kind] ||
        {tokenizer_class: 'PreTrainedTokenizerFast'}) + '\n');
    write(kind, 'cases.json',
        `{"tokenizers": "${version}", "cases": [\n` +
        cases.map(json).join(',\n') + '\n]}\n');
  }
  for (const [name, content] of Object.entries(spmParts.contents)) {
    if (name !== 'mt5') write('models', `${name}.model`, content);
  }
}

main();
