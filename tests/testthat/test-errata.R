test_that("every erratum is confirmed by its check, with several seeds", {
  for (seed in 1:2) {
    errata <- paper_errata(n = 1e5, seed = seed)
    expect_identical(errata$id[!errata$holds], character())
  }
  expect_identical(anyDuplicated(errata$id), 0L)
})

test_that("a wrong correction and a correct printed value are not confirmed", {
  expect_true(erratum_holds(1, 2, 2.01, 0.1))
  expect_false(erratum_holds(1, 3, 2, 0.1))
  expect_false(erratum_holds(2, 2, 2, 0.1))
})

test_that("parameters are counted as in the networks of the Python package", {
  expect_equal(wide_resnet_size(34, 10), 46160474) # docs/methods.md has these sizes, too
  expect_equal(resnet_size(20), 269722)
})
