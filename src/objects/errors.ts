/** Errors and problems of object sources. */

import { errorCatalogue } from '../base/errors.ts';

export const objectErrors = errorCatalogue({
  AMBIT_OBJECT_NOT_FOUND: {
    side: 'control-plane',
    hint: 'The object was deleted meanwhile, or its manifest is not read: see the problems of the source.',
  },
  AMBIT_OBJECTS_FOLDER_UNREADABLE: {
    side: 'config',
    hint: 'Check that the folder of manifests exists, is a directory, and may be read by this process.',
  },
  AMBIT_OBJECTS_FILE_UNREADABLE: {
    side: 'config',
    hint: 'Check the permissions of the file; what it held before stays in force until it can be read.',
  },
  AMBIT_OBJECTS_FILE_TOO_LARGE: {
    side: 'config',
    hint: 'Split the manifest into several files.',
  },
  AMBIT_OBJECTS_SYNTAX: {
    side: 'config',
    hint: 'Repair the YAML or JSON; what the file held before stays in force until then.',
  },
  AMBIT_OBJECTS_INVALID: {
    side: 'config',
    hint: 'Repair the field; the last good state of the object stays in force until then.',
  },
  AMBIT_OBJECTS_DUPLICATE: {
    side: 'config',
    hint: 'Keep the object in one file only; the first file by name wins.',
  },
  AMBIT_OBJECTS_UNKNOWN_KIND: {
    side: 'config',
    hint: 'The mesh does not read this kind; remove the manifest, or check the spelling of kind and apiVersion.',
  },
  AMBIT_OBJECTS_UNKNOWN_FIELD: {
    side: 'config',
    hint: 'The field has no effect; check its spelling and indentation.',
  },
  AMBIT_OBJECTS_OVERLAY_UNWRITABLE: {
    side: 'config',
    hint: 'Check that the folder of manifests may be written by this process: status is kept in its .overlay folder.',
  },
});
