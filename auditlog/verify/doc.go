// Package verify checks an audit log without its operator: a copy of the log's
// directory, or one entry with its proof, against what the auditor trusts.
//
// What is trusted is given by the auditor in a [Policy] and never read from
// the log: the log's public key, the keys of the witnesses and, if there is
// one, a checkpoint kept from an earlier examination.
//
// The package is a reader of its own. It shares no code with the writer except
// the tile names' specification (C2SP tlog-tiles) and the format of witness
// signatures; the tree is computed again from every entry.
//
// [Dir] checks every entry against its leaf hash, every tile against the
// hashes below it, the root against the signed checkpoint, every frame of the
// segments against the tree, every cosigned checkpoint in the log against the
// tree of its size and against the witnesses' keys, and the times of entries
// against the times witnesses vouched for. A [Finding] says where the log is
// not what it must be; the first one of kind [Tampered] is the first bad entry.
//
// # What a pass means
//
// Without witnesses in the policy, a pass means that the directory is the one
// that the holder of the key signed last. The operator holds the key. With
// witnesses it means that the operator can't have changed anything below the
// last cosigned checkpoint after its time.
package verify
