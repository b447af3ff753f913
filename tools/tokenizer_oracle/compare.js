// Compares ids of //corpus:tokenize with Hugging Face's; see README.md.
'use strict';

const fs = require('fs');
const path = require('path');
const {parseArgs} = require('util');
const {Tokenizer, TruncationStrategy} = require('tokenizers');

function lines(file) {
  const text = fs.readFileSync(file, 'utf8').split('\n');
  if (text[text.length - 1] === '') text.pop();
  return text;
}

async function main() {
  const {values} = parseArgs({options: {
    tokenizer: {type: 'string'}, input: {type: 'string'},
    ids: {type: 'string'}, max_length: {type: 'string', default: '0'},
    shown: {type: 'string', default: '10'},
  }});
  const tokenizer = Tokenizer.fromFile(
      path.join(values.tokenizer, 'tokenizer.json'));
  tokenizer.disablePadding();
  tokenizer.disableTruncation();
  if (Number(values.max_length) > 0) {
    tokenizer.setTruncation(Number(values.max_length),
        {strategy: TruncationStrategy.LongestFirst});
  }
  const texts = lines(values.input);
  const found = lines(values.ids);
  if (texts.length !== found.length) {
    throw new Error(`${texts.length} texts, ${found.length} lines of ids`);
  }
  let different = 0;
  let tokens = 0;
  for (let i = 0; i < texts.length; ++i) {
    const ids = (await tokenizer.encode(texts[i], null)).getIds();
    tokens += ids.length;
    if (ids.join(' ') === found[i]) continue;
    if (++different > Number(values.shown)) continue;
    console.log(`line ${i + 1}: ${JSON.stringify(texts[i])}\n` +
        `  expected ${ids.join(' ')}\n  found    ${found[i]}`);
  }
  console.log(`${texts.length} texts, ${tokens} tokens, ${different} different`);
  process.exitCode = different === 0 ? 0 : 1;
}

main();
