// A student inside the page: the tokenizer and the network of a model that
// //serving:export_web wrote as model.js. It answers as the server does in
// int8: the same pieces, weights and states in 8 bits, sums in integers
// (docs/adr/0027-eight-bit-products.md).
'use strict';

(() => {
  const FORMAT = 1;
  const SPECIALS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
  const MOST_WORDS = 64;  // of a text that are weighed
  const BREATH_MS = 12;   // of work before the page may do something else

  // Bits of a character, as corpus/unicode.h has them.
  const KINDS = {dropped: 1, space: 2, punctuation: 4, cjk: 8, nonspacing: 32};

  function bytesOf(base64) {
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;
  }
  // The file has little-endian numbers, as every browser's machine.
  const int8sOf = (base64) => new Int8Array(bytesOf(base64));
  const int16sOf = (base64) => new Int16Array(bytesOf(base64));
  const floatsOf = (base64) => new Float32Array(bytesOf(base64));

  // ---- WordPiece, as corpus/wordpiece_tokenizer.cc ----

  // Bits of every code point, from runs of [gap, length].
  function flagsOf(characters) {
    const flags = new Uint8Array(0x110000);
    for (const [kind, runs] of Object.entries(characters)) {
      for (let i = 0, at = 0; i < runs.length; i += 2) {
        at += runs[i];
        for (const end = at + runs[i + 1]; at < end; ++at) {
          flags[at] |= KINDS[kind];
        }
      }
    }
    return flags;
  }

  class Tokenizer {
    constructor(config, maxLength) {
      this.config = config;
      this.maxLength = maxLength;
      this.flags = flagsOf(config.characters);
      this.first = new Map();
      this.next = new Map();
      this.longest = 0;
      const pieces = config.vocab.replace(/\n$/, '').split('\n');
      for (const [id, line] of pieces.entries()) {
        const piece = line.replace(/\r$/, '');
        this.longest = Math.max(this.longest, piece.length);
        if (piece.startsWith('##')) this.next.set(piece.slice(2), id);
        else this.first.set(piece, id);
      }
      [, this.unk, this.cls, this.sep] = SPECIALS.map((s) => this.first.get(s));
    }

    // [CLS] text [SEP], cut to the model's length.
    encode(text) {
      const ids = [this.cls];
      const most = this.maxLength - 1;
      for (const part of this.parts(text.toWellFormed())) {
        if (ids.length >= most) break;
        if (typeof part === 'number') ids.push(part);
        else this.appendText(part, most, ids);
      }
      return [...ids.slice(0, most), this.sep];
    }

    // Ordinary text and the ids of special pieces that stand in it.
    * parts(text) {
      let start = 0;
      let at = this.config.special_literals ? text.indexOf('[') : -1;
      while (at >= 0) {
        const special = SPECIALS.find(
            (s) => this.first.has(s) && text.startsWith(s, at));
        if (special === undefined) {
          ++at;
        } else {
          yield text.slice(start, at);
          yield this.first.get(special);
          start = at += special.length;
        }
        at = text.indexOf('[', at);
      }
      yield text.slice(start);
    }

    appendText(text, most, ids) {
      for (const word of this.words(text)) {
        if (ids.length >= most) return;
        if ([...word].length > this.config.max_word_chars) ids.push(this.unk);
        else this.appendWord(word, ids);
      }
    }

    // Greedy longest match from the left; one [UNK] when a part has no piece.
    appendWord(word, ids) {
      const before = ids.length;
      for (let at = 0, pieces = this.first; at < word.length;) {
        let end = Math.min(word.length, at + this.longest);
        while (end > at && !pieces.has(word.slice(at, end))) --end;
        if (end === at) {
          ids.length = before;
          ids.push(this.unk);
          return;
        }
        ids.push(pieces.get(word.slice(at, end)));
        at = end;
        pieces = this.next;
      }
    }

    * words(text) {
      let word = '';
      for (const character of this.clean(text)) {
        const isPunctuation =
            this.flags[character.codePointAt(0)] & KINDS.punctuation;
        if (character !== ' ' && !isPunctuation) {
          word += character;
          continue;
        }
        if (word !== '') yield word;
        word = '';
        if (isPunctuation) yield character;
      }
      if (word !== '') yield word;
    }

    // Cleaned, ideographs spaced, lower-cased, accents dropped: as configured.
    clean(text) {
      const {lower_case, strip_accents, tokenize_chinese_chars, slow} =
          this.config;
      let out = '';
      for (const character of text) {
        const flags = this.flags[character.codePointAt(0)];
        if (flags & KINDS.dropped) continue;
        if (flags & KINDS.space) out += ' ';
        else if (flags & KINDS.cjk && tokenize_chinese_chars) {
          out += ` ${character} `;
        } else {
          // By itself: the end of a word does not matter to it.
          out += lower_case ? character.toLowerCase() : character;
        }
      }
      if (slow) out = out.normalize('NFC');
      if (!strip_accents) return out;
      return [...out.normalize('NFD')].filter(
          (c) => !(this.flags[c.codePointAt(0)] & KINDS.nonspacing)).join('');
    }
  }

  // ---- The network, as student_trainer/inference_kernel.cc ----

  // To 11 bits of mantissa, a tie to the even one, as IEEE's half precision.
  function toHalf(x) {
    const most = 65504;
    if (!(Math.abs(x) < most)) return Math.sign(x) * most;
    if (Math.abs(x) < 2 ** -14) return x + 1.5 * 2 ** 28 - 1.5 * 2 ** 28;
    const wide = x * (2 ** 42 + 1);
    return wide - (wide - x);
  }

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  // A matrix of 8 bits, rows with a scale each.
  class Matrix {
    constructor({values, scales}, columns) {
      this.values = int8sOf(values);
      this.scales = floatsOf(scales);
      this.columns = columns;
    }

    // gates[i] += scales[i] * (row i · states), the product in integers: the
    // states' scale keeps sums below 2^31.
    addTo(gates, states) {
      const {values, scales, columns} = this;
      for (let row = 0, at = 0; row < scales.length; ++row) {
        let sum = 0;
        for (let k = 0; k < columns; ++k, ++at) {
          sum = (sum + Math.imul(values[at], states[k])) | 0;
        }
        gates[row] += Math.fround(sum) * scales[row];
      }
    }
  }

  // A matrix of 24 bits: 16 high ones and 8 low ones, rows with a scale each.
  function wideMatrixOf({high, low, scales}) {
    const values = Float64Array.from(int16sOf(high));
    const units = floatsOf(scales);
    const columns = values.length / units.length;
    const rest = new Uint8Array(bytesOf(low));
    for (let i = 0; i < values.length; ++i) {
      values[i] = (256 * values[i] + rest[i]) * units[Math.floor(i / columns)];
    }
    return {values, columns};
  }

  // One direction of a layer.
  class Direction {
    constructor(data, shape, stateScale, embedding) {
      this.hidden = shape.hidden_dim;
      this.stateScale = stateScale;
      this.embedding = embedding;  // of the first layer, else null
      this.bias = floatsOf(data.bias);
      this.recurrent = new Matrix(data.recurrent, this.hidden);
      this.input = embedding ? wideMatrixOf(data.input) :
          new Matrix(data.input, 2 * this.hidden);
      this.ofPiece = new Map();
    }

    // The first layer's gates of a piece, biases included, in half precision.
    gatesOf(piece) {
      let gates = this.ofPiece.get(piece);
      if (gates !== undefined) return gates;
      const {values, columns} = this.embedding, weights = this.input.values;
      gates = new Float32Array(this.bias);
      for (let row = 0; row < gates.length; ++row) {
        let sum = gates[row];
        for (let k = 0; k < columns; ++k) {
          sum += values[piece * columns + k] * weights[row * columns + k];
        }
        gates[row] = toHalf(sum);
      }
      this.ofPiece.set(piece, gates);
      return gates;
    }

    // `below`: pieces, or the rounded states of the layer below. Gives the last
    // state and, into `rounded`, every step's, from `offset` on.
    run(below, isReverse, rounded, offset) {
      const hidden = this.hidden;
      const c = new Float32Array(hidden), h = new Float32Array(hidden);
      const states = new Int16Array(hidden);
      const gates = new Float32Array(4 * hidden);
      for (let step = 0; step < below.length; ++step) {
        const t = isReverse ? below.length - 1 - step : step;
        gates.set(this.embedding ? this.gatesOf(below[t]) : this.bias);
        if (!this.embedding) this.input.addTo(gates, below[t]);
        if (step > 0) this.recurrent.addTo(gates, states);
        for (let j = 0; j < hidden; ++j) {
          const input = sigmoid(gates[j]);
          const forget = sigmoid(gates[hidden + j]);
          const cell = Math.tanh(gates[2 * hidden + j]);
          c[j] = forget * c[j] + input * cell;
          h[j] = sigmoid(gates[3 * hidden + j]) * Math.tanh(c[j]);
          states[j] = Math.round(h[j] * this.stateScale);
        }
        rounded?.[t].set(states, offset);
      }
      return h;
    }
  }

  class Network {
    constructor(model) {
      const {shape, tensors} = model;
      this.hidden = shape.hidden_dim;
      const embedding = wideMatrixOf(tensors.embedding);
      this.layers = tensors.layers.map((pair, i) => pair.map(
          (data) => new Direction(data, shape, model.state_scale,
                                  i === 0 ? embedding : null)));
      this.head = floatsOf(tensors.head);
      this.headBias = floatsOf(tensors.head_bias);
    }

    logits(ids) {
      let below = ids, last;
      for (const [i, [forward, backward]] of this.layers.entries()) {
        const rounded = i + 1 === this.layers.length ? null :
            ids.map(() => new Int16Array(2 * this.hidden));
        last = [...forward.run(below, false, rounded, 0),
                ...backward.run(below, true, rounded, this.hidden)];
        below = rounded;
      }
      return Array.from(this.headBias, (bias, k) => last.reduce(
          (sum, h, j) => sum + h * this.head[k * last.length + j], bias));
    }
  }

  function softmax(logits) {
    const most = Math.max(...logits);
    const powers = logits.map((x) => Math.exp(x - most));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((p) => p / sum);
  }

  // ---- The back end, as the server's answers ----

  function backendOf(model) {
    if (model.format !== FORMAT) {
      throw new Error(`model.js has format ${model.format}, expected ${FORMAT}`);
    }
    const tokenizer = new Tokenizer(model.tokenizer, model.max_length);
    const network = new Network(model);
    const probabilities = (text) =>
        softmax(network.logits(tokenizer.encode(text)));

    // The probability of class 1 that goes with each word.
    async function weigh(text, whole, breathe) {
      const words = [];
      let begin = 0, read = 0;
      for (const match of text.matchAll(/\P{White_Space}+/gu)) {
        if (words.length === MOST_WORDS) break;
        await breathe();
        const before = text.slice(0, match.index);
        const after = text.slice(match.index + match[0].length);
        begin += [...before.slice(read)].length;
        read = before.length;
        words.push({begin, end: begin + [...match[0]].length,
                    weight: whole - probabilities(before + after)[1]});
      }
      return words;
    }

    async function classify({texts, explain}, signal) {
      let since = performance.now();
      // Lets the page be used, and ends when the answer is no longer wanted.
      const breathe = async () => {
        if (performance.now() - since < BREATH_MS) return;
        await new Promise((resolve) => setTimeout(resolve));
        signal.throwIfAborted();
        since = performance.now();
      };
      const answers = [];
      for (const text of texts) {
        await breathe();
        const shares = probabilities(text);
        const label = shares.indexOf(Math.max(...shares));
        answers.push({
          label,
          name: shares.length === 2 ? ['negative', 'positive'][label] :
              `class ${label}`,
          probabilities: shares,
          ...(explain && {words: await weigh(text, shares[1], breathe)}),
        });
      }
      return {model: model.name, answers};
    }

    return {
      isLocal: true,
      models: async () => [{name: model.name, default: true,
                            precision: 'int8'}],
      card: async () => model.card,
      classify,
      encode: (text) => tokenizer.encode(text),
    };
  }

  globalThis.kodistilStudent = backendOf(globalThis.kodistilModel);
})();
