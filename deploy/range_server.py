#!/usr/bin/env python3
"""A server of files for deploy/fetch_data_test.sh, with ranges and faults.

  range_server.py DIR PORT_FILE LOG

Serves DIR on a free port of 127.0.0.1, which PORT_FILE then holds, and appends
one line for each request to LOG: "path range". A file called NAME.cut beside
NAME holds a number: each answer for NAME is broken off after so many bytes.
A file called NAME.plain has ranges of NAME ignored.
"""

import http.server
import os
import re
import sys


class Handler(http.server.BaseHTTPRequestHandler):
  protocol_version = "HTTP/1.1"
  root = ""
  log = ""

  def do_GET(self):
    wanted = self.headers.get("Range", "-")
    with open(self.log, "a", encoding="utf-8") as log:
      log.write(f"{self.path} {wanted}\n")
    path = os.path.join(self.root, self.path.lstrip("/"))
    if not os.path.isfile(path):
      self.send_error(404)
      return
    with open(path, "rb") as file:
      content = file.read()
    begin = 0
    match = re.fullmatch(r"bytes=(\d+)-", wanted)
    if match and not os.path.exists(path + ".plain"):
      begin = int(match.group(1))
      if begin >= len(content):
        self.send_response(416)
        self.send_header("Content-Range", f"bytes */{len(content)}")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return
      self.send_response(206)
      self.send_header("Content-Range",
                       f"bytes {begin}-{len(content) - 1}/{len(content)}")
    else:
      self.send_response(200)
    body = content[begin:]
    self.send_header("Content-Length", str(len(body)))
    self.end_headers()
    if os.path.exists(path + ".cut"):
      with open(path + ".cut", encoding="utf-8") as cut:
        body = body[:int(cut.read())]
      self.close_connection = True
    try:
      self.wfile.write(body)
    except (BrokenPipeError, ConnectionResetError):
      self.close_connection = True

  def log_message(self, *arguments):
    pass


def main():
  Handler.root, port_file, Handler.log = sys.argv[1:]
  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
  with open(port_file + ".new", "w", encoding="utf-8") as file:
    file.write(str(server.server_port))
  os.rename(port_file + ".new", port_file)
  server.serve_forever()


main()
