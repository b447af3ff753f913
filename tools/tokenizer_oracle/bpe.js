// Learns byte-pair merges from words: the most frequent pair first, of equals
// the one that is smaller as a text.
'use strict';

function countPairs(words) {
  const counts = new Map();
  for (const {pieces, count} of words) {
    for (let i = 0; i + 1 < pieces.length; ++i) {
      const pair = pieces[i] + ' ' + pieces[i + 1];
      counts.set(pair, (counts.get(pair) || 0) + count);
    }
  }
  return counts;
}

function mostFrequent(counts) {
  let best = null;
  for (const [pair, count] of counts) {
    if (best === null || count > best.count ||
        (count === best.count && pair < best.pair)) {
      best = {pair, count};
    }
  }
  return best;
}

function merge(pieces, left, right) {
  const out = [];
  for (let i = 0; i < pieces.length; ++i) {
    if (pieces[i] === left && pieces[i + 1] === right) {
      out.push(left + right);
      ++i;
    } else {
      out.push(pieces[i]);
    }
  }
  return out;
}

// `texts` are words; the merges, as "left right", in order of rank.
function learnMerges(texts, howMany) {
  const counts = new Map();
  for (const text of texts) counts.set(text, (counts.get(text) || 0) + 1);
  const words = [...counts].map(
      ([text, count]) => ({pieces: Array.from(text), count}));
  const merges = [];
  while (merges.length < howMany) {
    const best = mostFrequent(countPairs(words));
    if (best === null || best.count < 2) break;
    const [left, right] = best.pair.split(' ');
    merges.push(best.pair);
    for (const word of words) word.pieces = merge(word.pieces, left, right);
  }
  return merges;
}

// Pieces to ids: `first`, the characters, then what the merges make.
function vocabOf(first, characters, merges) {
  const pieces = [...first, ...characters,
    ...merges.map((pair) => pair.replace(' ', ''))];
  const vocab = {};
  for (const piece of pieces) {
    if (!(piece in vocab)) vocab[piece] = Object.keys(vocab).length;
  }
  return vocab;
}

module.exports = {learnMerges, vocabOf};
