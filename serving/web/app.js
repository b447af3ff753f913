// The page: what is written is read as it is typed. A back end answers, either
// the server that gave this page or a student inside it (student.js). Whatever
// comes from a person or a model is put into the page as text, never as markup.
'use strict';

(() => {
  const MOST_CHARACTERS = 10000;  // of a text; the server's limit
  const MOST_LINES = 5000;
  const BATCH = 64;               // texts of a request
  const TYPING_MS = 200;          // of rest before a text is read
  const SPEAKING_MS = 800;        // of rest before an answer is announced
  const PATIENCE_MS = 15000;      // for an answer
  const RETRY_MS = [1000, 2000, 4000, 8000];
  const FAINTEST = 0.05;          // of the strongest weight that is shaded

  const TEXTS = {
    ko: {
      page: 'KoDistil · 리뷰 읽기',
      skip: '리뷰 입력란으로',
      dark: '어두운 화면',
      title: '이 리뷰, 긍정일까요 부정일까요?',
      lead: '글을 쓰거나 붙여 넣으면 바로 읽습니다. 여러 줄을 넣으면 표가 됩니다.',
      review: '리뷰',
      placeholder: '예: 배우들 연기는 좋았는데 이야기가 너무 늘어져요',
      examples: '예문', praise: '칭찬', blame: '불평', mixed: '반반',
      lines: '여러 줄', clear: '지우기',
      reads: '여러 줄을', readsLines: '줄마다 따로', readsWhole: '한 편의 글로',
      answer: '답', probability: '확률',
      positive: '긍정', negative: '부정', classK: '부류 {k}',
      sure: '확실해 보입니다', likely: '그런 편입니다', unsure: '거의 반반입니다',
      why: '어느 낱말 때문일까요',
      strongest: '가장 크게 움직인 낱말: {words}',
      nothing: '눈에 띄게 움직인 낱말이 없습니다.',
      firstWords: '앞의 낱말 {count}개까지만 쟀습니다.',
      toward: '{name} 쪽', away: '{name} 반대쪽', none: '없음',
      weights: '낱말마다의 무게',
      weightsHint: '그 낱말을 뺐을 때 확률이 얼마나 달라지는지입니다.',
      word: '낱말', weight: '무게', direction: '방향',
      table: '{count}줄', tablePart: '{total}줄 가운데 {count}줄',
      download: 'CSV로 내려받기', file: '리뷰-결과.csv',
      card: '읽는 모델', model: '모델', provenance: '출처 전부 (JSON)',
      name: '이름', accuracy: '정확도', teacher: '스승 모델',
      dataset: '데이터', loss: '학습', parameters: '매개변수', bytes: '크기',
      shape: '구조', max_length: '읽는 길이', seed: '난수 씨앗',
      engine: '학습 엔진', precision: '계산',
      lossValue: '온도 {temperature}, 정답 비중 {rate} ({option})',
      shapeValue: '어휘 {vocab} · 임베딩 {embedding} · 은닉 {hidden} × 2 · {layers}층',
      lengthValue: '조각 {count}개까지',
      privacyServer: '쓴 글은 이 페이지를 준 서버로만 갑니다.',
      privacyLocal: '모델이 이 페이지 안에 있습니다. 쓴 글은 이 브라우저를 떠나지 않습니다.',
      offline: '서버에 닿지 않습니다. 다시 이어지면 저절로 계속합니다.',
      slow: '서버의 답이 늦습니다. 다시 해 보고 있습니다.',
      busy: '서버가 바쁩니다. 곧 다시 해 봅니다.',
      broken: '서버에 탈이 났습니다. 서버가 한 말: {message}',
      refused: '서버가 이 글을 받지 않았습니다. 서버가 한 말: {message}',
      tooLong: '글 하나는 {most}자까지 읽습니다. {line}번째 줄이 {found}자입니다.',
      tooMany: '한 번에 {most}줄까지 읽습니다. 지금 {found}줄입니다.',
      spoken: '{name}, {percent}', spokenTable: '{count}줄을 다 읽었습니다.',
    },
    en: {
      page: 'KoDistil · Reading reviews',
      skip: 'To the review',
      dark: 'Dark',
      title: 'Is this review positive or negative?',
      lead: 'Type or paste, and it is read at once. Several lines become a table.',
      review: 'Review',
      placeholder: 'For example: 배우들 연기는 좋았는데 이야기가 너무 늘어져요',
      examples: 'Examples', praise: 'Praise', blame: 'Complaint',
      mixed: 'A bit of both', lines: 'Several lines', clear: 'Clear',
      reads: 'Read lines', readsLines: 'one by one', readsWhole: 'as one text',
      answer: 'Answer', probability: 'Probability',
      positive: 'Positive', negative: 'Negative', classK: 'Class {k}',
      sure: 'looks certain', likely: 'rather so', unsure: 'nearly even',
      why: 'Which words decide',
      strongest: 'What moved it most: {words}',
      nothing: 'No word moves it noticeably.',
      firstWords: 'Only the first {count} words were weighed.',
      toward: 'toward {name}', away: 'away from {name}', none: 'none',
      weights: 'Weight of each word',
      weightsHint: 'How far the probability moves when that word is left out.',
      word: 'Word', weight: 'Weight', direction: 'Direction',
      table: '{count} lines', tablePart: '{count} of {total} lines',
      download: 'Download as CSV', file: 'reviews.csv',
      card: 'The model', model: 'Model', provenance: 'Full provenance (JSON)',
      name: 'Name', accuracy: 'Accuracy', teacher: 'Teacher',
      dataset: 'Data', loss: 'Training', parameters: 'Parameters',
      bytes: 'Size', shape: 'Network', max_length: 'Reads', seed: 'Seed',
      engine: 'Engine', precision: 'Arithmetic',
      lossValue: 'temperature {temperature}, weight of labels {rate} ({option})',
      shapeValue: '{vocab} pieces · embedding {embedding} · hidden {hidden} × 2 · layers {layers}',
      lengthValue: 'up to {count} pieces',
      privacyServer: 'What you write goes to the server of this page and nowhere else.',
      privacyLocal: 'The model is inside this page. What you write never leaves this browser.',
      offline: 'The server cannot be reached. It goes on by itself once it is back.',
      slow: 'The server is slow to answer. Trying again.',
      busy: 'The server is busy. Trying again shortly.',
      broken: 'Something broke in the server. It said: {message}',
      refused: 'The server did not take this text. It said: {message}',
      tooLong: 'A text may have {most} characters. Line {line} has {found}.',
      tooMany: 'At most {most} lines at once. There are {found}.',
      spoken: '{name}, {percent}', spokenTable: 'All {count} lines are read.',
    },
  };

  const EXAMPLES = {
    praise: '배우들 연기가 정말 훌륭하고 마지막 장면은 오래 기억에 남아요',
    blame: '돈과 시간이 아까운 영화였어요 이야기가 너무 지루합니다',
    mixed: '영상은 참 예쁜데 대사가 어색해서 집중이 안 됐어요',
    lines: '올해 본 영화 중에 최고예요\n중간에 나가고 싶었습니다\n' +
        '음악은 좋았지만 결말이 아쉬워요\n아이와 함께 보기 좋아요',
  };

  const $ = (id) => document.getElementById(id);

  // What a back end could not do. kind: "offline", "slow", "busy", "broken" or
  // "refused"; the last comes from the text, the others pass.
  class BackendError extends Error {
    constructor(kind, message, field) {
      super(message);
      this.kind = kind;
      this.field = field;
    }
  }

  function serverBackend() {
    async function ask(path, options, signal) {
      const both = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
      let response, body;
      try {
        response = await fetch(path, {...options, cache: 'no-store',
                                      signal: both});
        body = await response.json();
      } catch (error) {
        if (signal.aborted) throw error;
        if (error.name === 'TimeoutError') throw new BackendError('slow', '');
        // An answer that is no JSON comes from something in between.
        throw new BackendError(response ? 'broken' : 'offline', String(error));
      }
      if (response.ok) return body;
      const message = typeof body.error === 'string' ? body.error :
          `HTTP ${response.status}`;
      const kind = [429, 503].includes(response.status) ? 'busy' :
          response.status >= 500 ? 'broken' : 'refused';
      throw new BackendError(kind, message, body.field);
    }
    return {
      isLocal: false,
      models: async (signal) => (await ask('v1/models', {}, signal)).models,
      card: (name, signal) =>
          ask(`v1/model?name=${encodeURIComponent(name)}`, {}, signal),
      classify: (request, signal) => ask('v1/classify', {
        method: 'POST',
        headers: {'Content-Type': 'application/json'},
        body: JSON.stringify(request),
      }, signal),
    };
  }

  const backend = globalThis.kodistilStudent ?? serverBackend();

  // What the person chose before; private windows may keep nothing.
  const memory = {
    get(key) {
      try {
        return localStorage.getItem(`kodistil.${key}`);
      } catch {
        return null;
      }
    },
    set(key, value) {
      try {
        if (value === null) localStorage.removeItem(`kodistil.${key}`);
        else localStorage.setItem(`kodistil.${key}`, value);
      } catch {
        // Then it holds until the page is left.
      }
    },
  };

  let language = memory.get('language') === 'en' ? 'en' : 'ko';
  let model = null;      // the name of the chosen one
  let models = [];
  let card = null;
  let shown = null;      // {text, answer} or {lines, answers}
  let notice = null;     // [key, values]
  let reading = null;    // AbortController of the text being read
  let typingTimer = 0, speakingTimer = 0, retryTimer = 0;
  let failures = 0;      // one after another

  // ---- Words ----

  function say(key, values = {}) {
    return TEXTS[language][key].replace(
        /\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  function number(value, digits = 0) {
    return new Intl.NumberFormat(language, {
      minimumFractionDigits: digits, maximumFractionDigits: digits,
    }).format(value);
  }

  const percent = (share) => `${number(100 * share, 1)}%`;

  // The sign always shows; a minus as people write it.
  function signed(weight) {
    const text = number(Math.abs(weight), 3);
    return Number(Math.abs(weight).toFixed(3)) === 0 ? text :
        (weight > 0 ? '+' : '−') + text;
  }

  function className(name, label) {
    if (name === 'positive' || name === 'negative') return say(name);
    return say('classK', {k: label});
  }

  // "for" and "against" class 1, which weights are about; "" for others.
  const sideOf = (answer, label) =>
      answer.probabilities.length !== 2 ? '' : label === 1 ? 'for' : 'against';

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function setLanguage(chosen) {
    language = chosen;
    document.documentElement.lang = chosen;
    document.title = say('page');
    for (const e of document.querySelectorAll('[data-t]')) {
      e.textContent = say(e.dataset.t);
    }
    for (const e of document.querySelectorAll('[data-t-label]')) {
      e.setAttribute('aria-label', say(e.dataset.tLabel));
    }
    for (const e of document.querySelectorAll('[data-t-placeholder]')) {
      e.placeholder = say(e.dataset.tPlaceholder);
    }
    for (const e of document.querySelectorAll('[data-language]')) {
      e.setAttribute('aria-pressed', String(e.dataset.language === chosen));
    }
    $('privacy').textContent =
        say(backend.isLocal ? 'privacyLocal' : 'privacyServer');
    showAnswer();
    showNotice(notice);
    showCard();
  }

  // ---- Light and dark ----

  const system = matchMedia('(prefers-color-scheme: dark)');

  let theme = memory.get('theme');  // "light", "dark" or null: the system's

  function showTheme() {
    const dark = theme ? theme === 'dark' : system.matches;
    document.documentElement.dataset.theme = dark ? 'dark' : 'light';
    $('theme').setAttribute('aria-pressed', String(dark));
  }

  // Back at what the system has, it is followed again.
  function switchTheme() {
    const dark = document.documentElement.dataset.theme !== 'dark';
    theme = dark === system.matches ? null : dark ? 'dark' : 'light';
    memory.set('theme', theme);
    showTheme();
  }

  // ---- Reading ----

  // The lines that say something, without what no text may hold.
  function linesOf(value) {
    return value.toWellFormed().split(/\r\n|\r|\n/)
        .filter((line) => line.trim() !== '');
  }

  const readsWhole = () =>
      document.querySelector('input[name=reads]:checked').value === 'whole';

  // The texts to read: one, or one for each line. Null when there is none, or
  // too much.
  function textsToRead() {
    const lines = linesOf($('review').value);
    $('reads').hidden = lines.length < 2;
    const whole = lines.length > 1 && readsWhole();
    const texts = whole ? [$('review').value.toWellFormed().trim()] : lines;
    if (texts.length > MOST_LINES) {
      fail('tooMany', {most: number(MOST_LINES), found: number(texts.length)});
      return null;
    }
    for (const [i, text] of texts.entries()) {
      const found = text.length > MOST_CHARACTERS ? [...text].length : 0;
      if (found <= MOST_CHARACTERS) continue;
      fail('tooLong', {most: number(MOST_CHARACTERS), found: number(found),
                       line: number(i + 1)});
      return null;
    }
    return texts.length > 0 ? texts : null;
  }

  // What was read before is no longer the answer to what is written.
  function textChanged() {
    clearTimeout(typingTimer);
    clearTimeout(retryTimer);
    reading?.abort();
    reading = null;
    $('clear').hidden = $('review').value === '';
    if ($('review').value.trim() === '') {
      shown = null;
      $('reads').hidden = true;
      showAnswer();
      if (failures === 0) showNotice(null);
      return;
    }
    setBusy(true);
    typingTimer = setTimeout(read, TYPING_MS);
  }

  function setBusy(busy) {
    $('answer').setAttribute('aria-busy', String(busy));
    $('table').setAttribute('aria-busy', String(busy));
    $('download').disabled = busy;
  }

  async function read() {
    clearTimeout(typingTimer);
    clearTimeout(retryTimer);
    reading?.abort();
    if (failures === 0) showNotice(null);
    const texts = textsToRead();
    if (texts === null) return;
    const mine = reading = new AbortController();
    setBusy(true);
    try {
      if (models.length === 0) await loadModels(mine.signal);
      if (texts.length === 1) {
        const {answers} = await classify(texts, true, mine.signal);
        if (mine !== reading) return;
        shown = {text: texts[0], answer: answers[0]};
        showAnswer();
      } else {
        await readLines(texts, mine);
      }
      if (mine !== reading) return;
      setBusy(false);
      failures = 0;
      showNotice(null);
      announceLater();
    } catch (error) {
      if (mine === reading && error.name !== 'AbortError') handle(error);
    }
  }

  const classify = (texts, explain, signal) =>
      backend.classify({texts, explain, ...(model && {model})}, signal);

  async function readLines(texts, mine) {
    const view = {lines: texts, answers: []};
    for (let i = 0; i < texts.length; i += BATCH) {
      const {answers} =
          await classify(texts.slice(i, i + BATCH), false, mine.signal);
      if (mine !== reading) return;
      view.answers.push(...answers);
      shown = view;
      showAnswer(/*from=*/i);
    }
  }

  // ---- When it does not work ----

  function fail(key, values) {
    shown = null;
    showAnswer();
    showNotice([key, values]);
  }

  function handle(error) {
    const kind = error instanceof BackendError ? error.kind : 'broken';
    const values = {message: error.message};
    if (kind === 'refused') {
      // Perhaps the chosen model is gone.
      models = [];
      return fail('refused', values);
    }
    // The answer to an earlier text stays, dimmed, while it is tried again.
    showNotice([kind, values]);
    const wait = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)];
    retryTimer = setTimeout(recover, wait);
  }

  // Asks for what the page begins with, then reads what is written.
  async function recover() {
    try {
      await loadModels(AbortSignal.timeout(PATIENCE_MS));
      failures = 0;
      showNotice(null);
      if ($('review').value.trim() !== '') await read();
    } catch (error) {
      handle(error);
    }
  }

  function showNotice(what) {
    notice = what;
    $('notice').hidden = what === null;
    const text = what === null ? '' : say(what[0], what[1]);
    // The same words again would be spoken again.
    if ($('notice').textContent !== text) $('notice').textContent = text;
  }

  // ---- The model's card ----

  async function loadModels(signal) {
    models = await backend.models(signal);
    const known = models.some((m) => m.name === model);
    if (!known) model = (models.find((m) => m.default) ?? models[0])?.name;
    card = model === undefined ? null : await backend.card(model, signal);
    showCard();
  }

  async function chooseModel() {
    model = $('model').value;
    models = [];
    await recover();
  }

  function showCard() {
    $('choice').hidden = models.length < 2;
    $('model').replaceChildren(...models.map((m) => {
      const option = element('option', '', m.name);
      option.value = m.name;
      option.selected = m.name === model;
      return option;
    }));
    $('card').replaceChildren();
    $('provenance').hidden = !card?.provenance;
    if (card === null) return;
    for (const [key, value] of cardLines(card)) {
      const line = element('div');
      line.append(element('dt', '', say(key)), element('dd', '', value));
      $('card').append(line);
    }
    $('provenance-text').textContent =
        JSON.stringify(card.provenance, null, 2) ?? '';
  }

  // Twelve digits of each, as elsewhere; all of them are in the provenance.
  const shortDigests = (text) =>
      text?.replace(/[0-9a-f]{64}/g, (digest) => digest.slice(0, 12));

  // [key, words] of what is known.
  function cardLines(m) {
    const c = m.card ?? {};
    const lines = [
      ['name', models.length > 1 ? null : m.name],
      ['accuracy', Number.isFinite(c.accuracy) ?
          `${number(100 * c.accuracy, 2)}%` : null],
      ['dataset', c.dataset],
      ['teacher', shortDigests(c.teacher)],
      ['loss', c.loss_option && c.loss_option !== 'ce' ? say('lossValue', {
        temperature: c.temperature, rate: c.loss_rate, option: c.loss_option,
      }) : c.loss_option],
      ['parameters', number(m.parameters)],
      ['bytes', bytesText(m.bytes)],
      ['precision', m.precision],
      ['shape', say('shapeValue', {
        vocab: number(m.vocab_size), embedding: m.embedding_dim,
        hidden: m.hidden_dim, layers: m.num_layers,
      })],
      ['max_length', say('lengthValue', {count: number(m.max_length)})],
      ['engine', c.engine],
      ['seed', c.seed === null || c.seed === undefined ? null : String(c.seed)],
    ];
    return lines.filter(([, value]) => value !== null && value !== undefined &&
                                       value !== '');
  }

  const bytesText = (bytes) => !Number.isFinite(bytes) ? null :
      bytes < 1e6 ? `${number(bytes / 1e3)} KB` : `${number(bytes / 1e6, 1)} MB`;

  // ---- Answers ----

  // Lines before `from` are in the table already.
  function showAnswer(from = 0) {
    $('answer').hidden = shown?.answer === undefined;
    $('table').hidden = shown?.answers === undefined;
    if (shown?.answer) showOne(shown.text, shown.answer);
    if (shown?.answers) showTable(shown, from);
  }

  function showOne(text, answer) {
    const best = answer.probabilities[answer.label];
    $('verdict').className = `verdict ${sideOf(answer, answer.label)}`;
    $('verdict-name').textContent = className(answer.name, answer.label);
    $('verdict-probability').textContent = percent(best);
    $('verdict-sure').textContent =
        say(best >= 0.9 ? 'sure' : best >= 0.65 ? 'likely' : 'unsure');
    const order = answer.probabilities.map((share, k) => [share, k]);
    if (order.length === 2) order.reverse();
    else order.sort((a, b) => b[0] - a[0]);
    $('classes').replaceChildren(...order.slice(0, 8).map(([share, k]) => {
      const row = element('div', `class ${sideOf(answer, k)}`);
      const bar = element('div', 'bar');
      const fill = element('i');
      fill.style.setProperty('--share', share);
      bar.append(fill);
      row.append(element('span', '', nameOfClass(answer, k)), bar,
                 element('span', 'value', percent(share)));
      return row;
    }));
    showWords(text, answer);
  }

  const nameOfClass = (answer, k) => answer.probabilities.length === 2 ?
      say(k === 1 ? 'positive' : 'negative') : say('classK', {k});

  // The text with its words shaded; begin and end count code points.
  function showWords(text, answer) {
    const words = answer.words ?? [];
    $('explained').hidden = words.length === 0;
    const characters = [...text];
    const most = Math.max(0, ...words.map((w) => Math.abs(w.weight)));
    const parts = [], rows = [];
    let at = 0;
    for (const word of words) {
      parts.push(characters.slice(at, word.begin).join(''));
      const written = characters.slice(word.begin, word.end).join('');
      const shade = element('span', shadeOf(word.weight, most), written);
      shade.title = signed(word.weight);
      parts.push(shade);
      rows.push(weightRow(written, word.weight, answer));
      at = word.end;
    }
    parts.push(characters.slice(at).join(''));
    $('words').replaceChildren(...parts);
    $('weights-body').replaceChildren(...rows);
    $('legend-against').textContent = directionOf(-1, answer);
    $('legend-for').textContent = directionOf(1, answer);
    $('strongest').textContent = strongestOf(characters, words, most) +
        (/\S/.test(characters.slice(at).join('')) ?
            ` ${say('firstWords', {count: number(words.length)})}` : '');
  }

  // Four steps of the text's strongest word.
  function shadeOf(weight, most) {
    const share = Math.abs(weight) / Math.max(most, 0.02);
    if (share < FAINTEST) return '';
    return `${weight > 0 ? 'for' : 'against'} w${Math.ceil(4 * share)}`;
  }

  // Where a weight pushes: the other way is the other class when there are two.
  function directionOf(weight, answer) {
    if (Number(weight.toFixed(3)) === 0) return say('none');
    if (weight < 0 && answer.probabilities.length !== 2) {
      return say('away', {name: nameOfClass(answer, 1)});
    }
    return say('toward', {name: nameOfClass(answer, weight > 0 ? 1 : 0)});
  }

  function weightRow(written, weight, answer) {
    const row = element('tr');
    const head = element('th', '', written);
    head.scope = 'row';
    row.append(head, element('td', 'number', signed(weight)),
               element('td', '', directionOf(weight, answer)));
    return row;
  }

  // The same in words, for whom shading says nothing.
  function strongestOf(characters, words, most) {
    const strongest = words.filter((w) => Math.abs(w.weight) >= 0.005)
        .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight)).slice(0, 3);
    if (most < 0.005) return say('nothing');
    return say('strongest', {words: strongest.map((w) =>
        `${characters.slice(w.begin, w.end).join('').slice(0, 30)} ` +
        signed(w.weight)).join(', ')});
  }

  function showTable({lines, answers}, from) {
    const complete = answers.length === lines.length;
    $('table-title').textContent = complete ?
        say('table', {count: number(lines.length)}) :
        say('tablePart', {count: number(answers.length),
                          total: number(lines.length)});
    const rows = answers.slice(from).map((answer, i) => {
      const row = element('tr');
      row.append(
          element('td', 'number', number(from + i + 1)),
          element('td', '', lines[from + i]),
          element('td', `name ${sideOf(answer, answer.label)}`,
                  className(answer.name, answer.label)),
          element('td', 'number',
                  percent(answer.probabilities[answer.label])));
      return row;
    });
    if (from === 0) $('table-body').replaceChildren(...rows);
    else $('table-body').append(...rows);
  }

  // Screen readers hear the answer once typing rests.
  function announceLater() {
    clearTimeout(speakingTimer);
    speakingTimer = setTimeout(() => {
      if (shown?.answer) {
        $('live').textContent = say('spoken', {
          name: className(shown.answer.name, shown.answer.label),
          percent: percent(shown.answer.probabilities[shown.answer.label]),
        });
      } else if (shown?.answers) {
        $('live').textContent =
            say('spokenTable', {count: number(shown.lines.length)});
      }
    }, SPEAKING_MS);
  }

  // ---- CSV ----

  // RFC 4180. A spreadsheet takes a cell that begins like a formula for one; an
  // apostrophe before it makes it text.
  function csvCell(value) {
    const text = String(value);
    const safe = typeof value === 'string' && /^(\s*[=+\-@＝＋－＠]|[\t\r])/u.test(text) ?
        `'${text}` : text;
    return /[",\r\n]/.test(safe) || safe !== safe.trim() ?
        `"${safe.replaceAll('"', '""')}"` : safe;
  }

  // UTF-8 with the mark that Excel knows it by.
  function csvOf({lines, answers}) {
    const classes = answers[0].probabilities.length;
    const names = classes === 2 ? ['negative', 'positive'] :
        Array.from({length: classes}, (_, k) => `class ${k}`);
    const rows = [['line', 'text', 'label', 'name',
                   ...names.map((name) => `p_${name.replace(' ', '_')}`)]];
    for (const [i, {label, name, probabilities}] of answers.entries()) {
      rows.push([i + 1, lines[i], label, name,
                 ...probabilities.map((p) => Number(p.toFixed(6)))]);
    }
    return '\ufeff' +
        rows.map((row) => row.map(csvCell).join(',') + '\r\n').join('');
  }

  function download() {
    if (!shown?.answers || shown.answers.length !== shown.lines.length) return;
    const file = new Blob([csvOf(shown)], {type: 'text/csv;charset=utf-8'});
    const link = element('a');
    link.href = URL.createObjectURL(file);
    link.download = say('file');
    link.click();
    // The download has begun once this turn is over.
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // ---- Beginning ----

  function setText(text) {
    $('review').value = text;
    $('review').focus();
    textChanged();
    read();
  }

  for (const e of document.querySelectorAll('[data-language]')) {
    e.addEventListener('click', () => {
      memory.set('language', e.dataset.language);
      setLanguage(e.dataset.language);
    });
  }
  for (const e of document.querySelectorAll('[data-example]')) {
    e.addEventListener('click', () => setText(EXAMPLES[e.dataset.example]));
  }
  for (const e of document.querySelectorAll('input[name=reads]')) {
    e.addEventListener('change', read);
  }
  $('theme').addEventListener('click', switchTheme);
  $('clear').addEventListener('click', () => setText(''));
  $('review').addEventListener('input', textChanged);
  $('model').addEventListener('change', chooseModel);
  $('download').addEventListener('click', download);
  system.addEventListener('change', showTheme);

  showTheme();
  setLanguage(language);
  recover();
})();
