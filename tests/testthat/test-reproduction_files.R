table_7 <- function() made_up_rows(data.frame(method = c("r-at", "sense"), c = c(NA, 0.5), collapsed = c(TRUE, FALSE)))

test_that("a result is read with its intervals, gzipped or not", {
  folder <- reproduction_folder(table_7())
  x <- reproduce_sense("table7", out = folder)
  expect_s3_class(x, "sense_reproduction")
  expect_equal(x$rows$upper, wilson_interval(x$rows$k, x$rows$n)$upper)
  expect_equal(x$rows$boundary, c(NA, "revert", NA, "revert"))
  expect_equal(x$claims$verdict, c("does not hold", "open"))
  expect_equal(x$shortened$here, c("10", "every method with each learning rate"))
  expect_equal(nrow(x$paper), 20)
  expect_equal(x$provenance$commit, "abc")
  expect_null(x$loss)
  zipped <- reproduce_sense("table7", out = reproduction_folder(table_7(), zipped = TRUE))
  expect_equal(zipped, x)
  expect_identical(as.data.frame(x), x$rows)
})

test_that("the error for a result that is missing has the command that makes it", {
  expect_error(reproduce_sense("table6", out = tempdir()), "no result of \"table6\".*run = TRUE", class = "sense_file_error")
})

test_that("a table that is there plain and gzipped is refused", {
  folder <- reproduction_folder(table_7(), zipped = TRUE)
  file.copy(file.path(reproduction_folder(table_7()), "table7-cpu.csv"), folder)
  expect_error(reproduce_sense("table7", out = folder), "both there", class = "sense_file_error")
})

test_that("damaged results are refused", {
  damaged <- function(change) {
    rows <- table_7()
    change <- change(rows)
    expect_error(reproduce_sense("table7", out = reproduction_folder(change)), "damaged", class = "sense_file_error")
  }
  damaged(function(rows) rows[setdiff(names(rows), "seed")])
  damaged(function(rows) transform(rows, k = n + 1))
  damaged(function(rows) transform(rows, k = NA))
  damaged(function(rows) transform(rows, collapsed = "perhaps"))
  damaged(function(rows) rows[0, ])
  folder <- reproduction_folder(table_7())
  writeLines("[1]", file.path(folder, "table7-cpu.json"))
  expect_error(reproduce_sense("table7", out = folder), "damaged", class = "sense_file_error")
  folder <- reproduction_folder(table_7())
  unlink(file.path(folder, "table7-cpu.csv"))
  expect_error(reproduce_sense("table7", out = folder), "missing", class = "sense_file_error")
})

test_that("every stored result of the package can be read", {
  stored <- sense:::stored_results(sense:::stored_reproductions())
  for (i in seq_len(nrow(stored))) {
    x <- reproduce_sense(stored$name[i], stored$scale[i])
    expect_equal(c(x$name, x$scale), unlist(stored[i, ], use.names = FALSE))
    expect_true(all(x$claims$verdict %in% c("holds", "does not hold", "open")))
    expect_s3_class(autoplot(x), "ggplot")
  }
  expect_true(all(stored$name %in% reproduce_sense()$name))
})

test_that("PGD on the network itself gets no source, a transfer attack keeps it", {
  rows <- made_up_rows(data.frame(method = "mart", source = c("mart", "trades")), c(pgd = "PGD-40 x 10"))
  x <- reproduce_sense("table4", out = reproduction_folder(rows, "table4"))
  expect_equal(x$rows$source, c(NA, "trades"))
})

test_that("the numbers of the paper are shares, and an attack of a network on itself is its PGD", {
  numbers <- sense:::paper_numbers()
  expect_true(all(numbers$value >= 0 & numbers$value <= 1, na.rm = TRUE))
  expect_false(any(numbers$source %in% numbers$method & numbers$source == numbers$method, na.rm = TRUE))
  table4 <- sense:::paper_numbers("table4")
  expect_equal(table4$value[table4$method == "sense" & table4$attack == "pgd"], 0.4951)
  expect_true(all(numbers$experiment %in% reproduce_sense()$name))
})
