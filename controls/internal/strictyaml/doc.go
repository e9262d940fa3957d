// Package strictyaml reads the small, hand-written YAML files of floor 3 (the
// catalogue, the registers, Sigma rules) so that a slip of the pen is an error
// with a place and never a control silently off.
//
// The files come from the application's own repository, but a reviewer must be
// able to trust what a file says at first sight, so everything that makes YAML
// mean something other than it shows is refused: anchors, aliases, merge keys,
// explicit tags, repeated keys, keys that are no text, a second document, and
// keys nobody asked for. Size, depth and number of nodes are bounded.
//
// Every error is an [Error] that names file, line, field and what is wanted.
package strictyaml
