// A student as the web page holds it: model.js, which web/student.js reads.

#ifndef KODISTIL_SERVING_WEB_MODEL_H_
#define KODISTIL_SERVING_WEB_MODEL_H_

#include <string>

#include "nlohmann/json.hpp"
#include "student_trainer/student.h"

namespace kodistil {

// `name` and `card` are what the server says of the model: GET /v1/models and
// /v1/model. The student is as LoadStudent gives it.
struct WebModel {
  const StudentFolder* student = nullptr;
  std::string name;
  nlohmann::ordered_json card;
};

// A script that sets kodistilModel. Recurrent weights, and those of layers
// above the first, are the server's 8 bits; embeddings and the first layer's
// input weights, whose product the server keeps in half precision, have 24 bits
// with a scale for each row, so that the page gets the same halves. The same
// model gives the same bytes.
std::string WebModelScript(const WebModel& model);

}  // namespace kodistil

#endif  // KODISTIL_SERVING_WEB_MODEL_H_
