// Texts on which tokenizers differ when they differ at all.
'use strict';

const nfd = (text) => text.normalize('NFD');

const EDGES = [
  '', ' ', '   ', '\t\n', '\u3000', 'a', '\uac00', '.', '?!',
  '\uc601\ud654\uac00 \uc815\ub9d0 \uc7ac\ubbf8\uc788\uc5b4\uc694!',
  'The quick brown fox, 12 jumps.', 'UPPER lower MiXeD',
  ' \uc55e\uc5d0 \ube48\uce78', '\ub4a4\uc5d0 \ube48\uce78 ',
  '\uc5ec\ub7ec   \uac1c\uc758    \ube48\uce78', 'a\nb\r\nc\td',
  '\u314b\u314b\u314b\u314b \u3160\u3160 \u314e\u314e',
  '\uc7ac\ubc0c\ub2e4\u314b\u314b!!!! \u2665\u2665 ^^;;',
  // Hangul in parts, whole or half; old Hangul with tone marks.
  nfd('\ud55c\uad6d\uc5b4 \uc601\ud654'), '\ud55c' + nfd('\uad6d') + '\uc5b4',
  '\u1112\u119e\u11ab\u302e\uae00', '\u1100', '\uac00\u11a8', '\u3131\u314f',
  // Combining marks, in and out of order.
  nfd('caf\u00e9 na\u00efve'), 'caf\u00e9', 'a\u0323\u0307 a\u0307\u0323',
  '\u0301abc', 'e\u0301\u0301\u0301', nfd('Ti\u1ebfng Vi\u1ec7t'),
  '\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35', '\u0928\u092e\u0938\u094d\u0924\u0947',
  '\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627', '\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd',
  // Emoji: plain, joined, flags, skin, keycap, newer than many tables.
  '\u{1f600}', '\uc88b\uc544\uc694\u{1f44d}\u{1f3fd}!', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}',
  '\u{1f1f0}\u{1f1f7}\u{1f1fa}\u{1f1f8}\u{1f1ef}', '1\ufe0f\u20e3 \u2764\ufe0f', '\u{1fae8}\u{1f9ff}',
  // Other scripts and forms.
  '\u4e2d\u6587\uc640 \uc601\ud654', '\u6771\u4eac\u30bf\u30ef\u30fc', '\u{20000}\u{2a6d6} \u9fff',
  '\uff21\uff22\uff23\uff11\uff12\uff13\uff01', '\uff76\uff9e\uff77\uff9e', '\ufb01\ufb02 \u2122 \u33a5',
  'x\u00b2 + \u00bd \u2460\u2461 \u2167', '\u338f \u3392', '\u{1d400}\u{1d7d8}', '\u32ff \u3380',
  '\u0130stanbul I\u0307', '\u039f\u03a3 \u03a3\u03a3', 'Stra\u00dfe \u01c4 \u212a \u2126',
  '\u0410\u0411\u0412 \u0451\u0439', '\u1e9b\u0323', '\u0344 \u0385',
  // Spaces that are not one, and what is not seen.
  'a\u00a0b\u2009c\u3000d\u202fe', 'a\u200bb\u200dc\ufeffd', '\ufeff\uc2dc\uc791',
  'soft\u00adhyphen', 'a\u2028b\u2029c\u0085d', '\u000b\u000ca',
  'a\u0000b', '\u0001\u0002x\u007f', '\u001c\u001d y', '\ufffd', 'a\ufffdb',
  '\ue000\uf8ff', '\u0378\u{e0001}x', '\u0600\u06dd1',
  // Numbers, quotes, contractions, punctuation.
  '12,345.67\uc6d0 100%', '3, 4,5, 67,', 'I\'ll we\'ve don\'t O\'Re \'S it\'s\'d',
  '``\uc778\uc6a9\'\' "\uc778\uc6a9"', '\u201c\uc778\uc6a9\u201d \u2018a\u2019 \u300a\uc601\ud654\u300b',
  'a,b;c:d...e---f', '(\uad04\ud638)[\ub300\uad04\ud638]{x}', '$1+1=2<3>2|~^`@#&*',
  'https://example.com/a_b?c=1&d=2', '<b>bold</b>&nbsp;', '#\ud574\uc2dc\ud0dc\uadf8 @user_1',
  'def f(x):\n    return  x', '   \n  \n a', 'a  \n', '\n\na', '1a2b\uac003',
  '\u0661\u0662\u0663 \u0967\u0968 \u216b', '\u00b9\u00b2\u00b3abc',
  // Long words.
  'a'.repeat(100), 'a'.repeat(101), '\uac00'.repeat(101),
  '\u314b'.repeat(40) + ' \ub05d', 'ab'.repeat(40) + '.',
  // Literals of special tokens.
  '[CLS] a [SEP] b', '[MASK]', '\uc601\ud654[MASK]\ub294', ' [MASK] ', '[mask][UNK][PAD]',
  '<s>a</s>', '</s>', 'a </s> ', '<pad><unk>', ' <mask> a', 'a<mask>b', 'a  <mask>  b',
  '<|endoftext|>a', 'a<|endoftext|>', '<extra_id_0> a <extra_id_4>', '<sep> <cls> <eop><eod>',
  '<sep', '[SEP', '\u2581', '\u2581\u2581a \u2581b', 'a\u2581b', '##a ##\uac00', ':) :-) \u{1f624}',
  '<unused0>', '<unused1> a', 'word wordy swordy word', 'a word', 'WORD', 'x lr y', 'a lr',
  '<0x41> \u0100\u0120',
];

// Pseudo-random texts of those characters (a linear congruential generator).
function mixed(howMany) {
  const pool = Array.from(EDGES.join(''));
  let state = 12345;
  const below = (bound) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor(state / 65536) % bound;
  };
  const texts = [];
  for (let i = 0; i < howMany; ++i) {
    let text = '';
    for (let length = 1 + below(30); length > 0; --length) {
      text += pool[below(pool.length)];
    }
    texts.push(text);
  }
  return texts;
}

module.exports = {EDGES, mixed};
