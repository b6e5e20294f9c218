package carry

import (
	"math"
	"math/cmplx"
	"reflect"
	"strconv"
)

func numeric(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Complex128 }

func fractional(k reflect.Kind) bool { return k >= reflect.Float32 && k <= reflect.Complex128 }

func whole(k reflect.Kind) bool { return k >= reflect.Int && k <= reflect.Uintptr }

// setNumber gives to the value of from, where it has one that is the same.
func setNumber(to, from reflect.Value) *Refusal {
	lost := func() *Refusal {
		return &Refusal{
			Code: CodeType, Old: from.Type().String(), New: to.Type().String(),
			Reason: spelled(from) + " does not fit",
		}
	}
	switch {
	case from.CanInt():
		n := from.Int()
		switch {
		case to.CanInt():
			to.SetInt(n)
			return unless(to.Int() == n, lost)
		case to.CanUint():
			to.SetUint(uint64(n))
			return unless(n >= 0 && to.Uint() == uint64(n), lost)
		}
		to.SetFloat(float64(n))
		f := to.Float()
		return unless(f >= -1<<63 && f < 1<<63 && int64(f) == n, lost)
	case from.CanUint():
		n := from.Uint()
		switch {
		case to.CanInt():
			to.SetInt(int64(n))
			return unless(to.Int() >= 0 && uint64(to.Int()) == n, lost)
		case to.CanUint():
			to.SetUint(n)
			return unless(to.Uint() == n, lost)
		}
		to.SetFloat(float64(n))
		f := to.Float()
		return unless(f < 1<<64 && uint64(f) == n, lost)
	case from.CanFloat():
		f := from.Float()
		to.SetFloat(f)
		return unless(to.Float() == f || math.IsNaN(f), lost)
	default:
		z := from.Complex()
		to.SetComplex(z)
		return unless(to.Complex() == z || cmplx.IsNaN(z), lost)
	}
}

func unless(ok bool, lost func() *Refusal) *Refusal {
	if ok {
		return nil
	}
	return lost()
}

func spelled(v reflect.Value) string {
	switch {
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10)
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	return strconv.FormatComplex(v.Complex(), 'g', -1, 128)
}
