package state

import "iter"

// ahead yields what seq yields. Another goroutine reads it in advance, so that
// decoding and encoding share two processors. It has ended when ahead returns.
func ahead[T any](seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	type item struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		ready, stop := make(chan item, 1000), make(chan struct{})
		defer func() {
			close(stop)
			for range ready {
			}
		}()
		go func() {
			defer close(ready)
			for v, err := range seq {
				select {
				case ready <- item{v, err}:
				case <-stop:
					return
				}
			}
		}()
		for next := range ready {
			if !yield(next.value, next.err) {
				return
			}
		}
	}
}
