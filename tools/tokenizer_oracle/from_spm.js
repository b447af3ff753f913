// Writes the tokenizer.json of a SentencePiece model; see README.md.
'use strict';

const fs = require('fs');
const path = require('path');
const {parseArgs} = require('util');
const {convert, readModel} = require('./spm');

const {values} = parseArgs({options: {
  model: {type: 'string'}, family: {type: 'string'}, output: {type: 'string'},
}});
fs.mkdirSync(values.output, {recursive: true});
fs.writeFileSync(path.join(values.output, 'tokenizer.json'),
    JSON.stringify(convert(readModel(values.model), values.family)));
