package beta

func init() { add("beta.init 2", 0) }
