//go:build tools

// Package tools pins h2spec, which holds servers against RFC 9113 and RFC 7541, with all that it is built of.
package tools

import _ "github.com/summerwind/h2spec/cmd/h2spec"
