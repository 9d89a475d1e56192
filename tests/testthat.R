library(testthat)
library(sense)

test_check("sense")
