//go:build !unix

package state

const noFollow = 0 // links cannot be made by everybody there
