#!/usr/bin/env python3
"""A student behind Flask and PyTorch, as demos are written: the baselines of
bench/serving.sh.

    flask_server.py MODEL_FOLDER PORT [--no_grad]

POST /classify with the form field `sentence` answers with JSON. One row a
request, no padding, Flask's own server with a thread a connection. As the seed
(serving/app.py of github.com/gyunggyung/DistilKoBiLSTM) it calls the model
plainly, so that PyTorch records what gradients would need; with --no_grad it
does not.
"""

import contextlib
import json
import os
import struct
import sys
import unicodedata

import flask
import torch


class Student(torch.nn.Module):

  def __init__(self, config):
    super().__init__()
    self.embedding = torch.nn.Embedding(config["vocab_size"],
                                        config["embedding_dim"])
    self.rnn = torch.nn.LSTM(config["embedding_dim"], config["hidden_dim"],
                             num_layers=config["lstm_num_layers"],
                             bidirectional=True, batch_first=True)
    self.linear = torch.nn.Linear(2 * config["hidden_dim"],
                                  config["num_classes"])

  def forward(self, ids):
    _, (hidden, _) = self.rnn(self.embedding(ids))
    return self.linear(torch.cat([hidden[-2], hidden[-1]], dim=1))


def read_safetensors(path):
  with open(path, "rb") as file:
    data = file.read()
  size = struct.unpack("<Q", data[:8])[0]
  tensors = {}
  for name, info in json.loads(data[8:8 + size]).items():
    if name == "__metadata__":
      continue
    begin, end = (8 + size + offset for offset in info["data_offsets"])
    values = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32)
    tensors[name] = values.reshape(info["shape"])
  return tensors


class Tokenizer:
  """WordPiece as in BERT, with the folder's settings."""

  def __init__(self, folder, max_length):
    with open(os.path.join(folder, "vocab.txt"), encoding="utf-8") as file:
      self.ids = {line.rstrip("\n"): i for i, line in enumerate(file)}
    with open(os.path.join(folder, "tokenizer_config.json"),
              encoding="utf-8") as file:
      config = json.load(file)
    self.lower = config["do_lower_case"]
    self.strip = config["strip_accents"]
    self.max_length = max_length

  def words(self, text):
    if self.lower:
      text = text.lower()
    if self.strip:
      text = "".join(c for c in unicodedata.normalize("NFD", text)
                     if unicodedata.category(c) != "Mn")
    word = ""
    for c in text:
      punctuation = (unicodedata.category(c).startswith("P")
                     or c in "$+<=>^`|~")
      if c.isspace() or punctuation:
        if word:
          yield word
        word = ""
        if punctuation:
          yield c
      else:
        word += c
    if word:
      yield word

  def pieces(self, word):
    pieces, begin = [], 0
    while begin < len(word):
      for end in range(len(word), begin, -1):
        piece = word[begin:end] if begin == 0 else "##" + word[begin:end]
        if piece in self.ids:
          break
      else:
        return [self.ids["[UNK]"]]
      pieces.append(self.ids[piece])
      begin = end
    return pieces

  def encode(self, text):
    ids = [i for word in self.words(text) for i in self.pieces(word)]
    return ([self.ids["[CLS]"]] + ids[:self.max_length - 2]
            + [self.ids["[SEP]"]])


def main():
  folder, port = sys.argv[1], int(sys.argv[2])
  mode = (torch.no_grad if sys.argv[3:] == ["--no_grad"]
          else contextlib.nullcontext)
  with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
    config = json.load(file)
  model = Student(config)
  model.load_state_dict(
      read_safetensors(os.path.join(folder, "model.safetensors")))
  model.eval()
  tokenizer = Tokenizer(folder, config["max_length"])
  app = flask.Flask(__name__)

  @app.route("/classify", methods=["POST"])
  def classify():  # pylint: disable=unused-variable
    ids = torch.tensor([tokenizer.encode(flask.request.form["sentence"])])
    with mode():
      probabilities = torch.softmax(model(ids), dim=1)[0].tolist()
    return flask.jsonify(label=probabilities.index(max(probabilities)),
                         probabilities=probabilities)

  app.run(host="127.0.0.1", port=port, threaded=True)


if __name__ == "__main__":
  main()
