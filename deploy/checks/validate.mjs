// Reads a JSON list of Kubernetes resources from stdin and prints, as a JSON
// list, what the validators of the npm package kubernetes-models say of each:
// null, or a message. NODE_PATH does not work for modules: the first argument
// is the folder node_modules.

import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';

const require = createRequire(`${process.argv[2]}/`);

function complaint(document) {
  const {[document.kind]: Kind} =
      require(`kubernetes-models/${document.apiVersion}/${document.kind}`);
  try {
    new Kind(document).validate();
    return null;
  } catch (error) {
    if (!Array.isArray(error.errors)) throw error;
    return error.message;
  }
}

const documents = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(documents.map(complaint)));
