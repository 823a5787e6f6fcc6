module mediaorigin.test/cluster/shim

go 1.26.0
