refused <- function(folder, message, name = "table7") {
  expect_error(reproduce_sense(name, out = folder), message, class = "sense_file_error")
}

test_that("the description must have the kinds of values that are shown", {
  rows <- made_up_rows(data.frame(method = "nt"))
  # Replaces an entry; an entry of NULL is removed.
  changed <- function(name, value) {
    folder <- reproduction_folder(rows)
    path <- file.path(folder, "table7-cpu.json")
    content <- jsonlite::read_json(path)
    content[[name]] <- value
    write_json_file(content, path)
    folder
  }
  expect_s3_class(reproduce_sense("table7", out = changed("command", NULL)), "sense_reproduction")
  expect_output(print(reproduce_sense("table7", out = changed("seconds", NULL))), "an unknown time")
  for (value in list(NULL, 3, list("a", "b"))) {
    refused(changed("title", value), "`title` and `place`")
    refused(changed("place", value), "`title` and `place`")
  }
  claim <- made_up_claims()[[1]]
  without <- function(name) list(claim[setdiff(names(claim), name)])
  wrong <- list(
    "a", list("a"), list(1), without("verdict"), without("text"), without("evidence"), without("place"),
    list(utils::modifyList(claim, list(verdict = "maybe"))), list(utils::modifyList(claim, list(text = list("a", "b"))))
  )
  for (value in wrong) refused(changed("claims", value), "`claims`")
  for (value in list("a", list("a"), list(list(option = 1)), list(list(option = "epochs", here = list(list(1)))))) {
    refused(changed("shortened", value), "`shortened`")
  }
  for (value in list("a", list(1, 2))) refused(changed("missing", value), "`missing`")
  for (value in list("a", 3, list(training = "a", attacks = 1), list(training = 1), list(training = -1, attacks = 1))) {
    refused(changed("seconds", value), "`seconds`")
  }
  refused(changed("data", "abc"), "`data`")
  refused(changed("provenance", "abc"), "`provenance`")
})

test_that("each column of the table must have its kind of value in each row", {
  changed <- function(name, value) {
    rows <- made_up_rows(data.frame(method = c("nt", "sense"), c = c(NA, 0.5)))
    rows[[name]] <- as.character(rows[[name]])
    rows[[name]][2] <- value
    reproduction_folder(rows)
  }
  for (name in c("lr", "epochs", "batch_size", "train_size", "seed", "k", "n", "seconds_training")) {
    for (value in list("a", NA, "Inf")) refused(changed(name, value), name)
  }
  for (name in c("epochs", "batch_size", "train_size", "seed", "k", "n")) refused(changed(name, "1.5"), name)
  for (name in c("cell", "method", "model", "attack", "attack_label")) refused(changed(name, NA), name)
  for (name in c("c", "stage_c")) for (value in c("a", "2", "Inf")) refused(changed(name, value), name)
  for (value in list(NA, "perhaps")) refused(changed("collapsed", value), "collapsed")
  refused(changed("n", "1e300"), "n must have numbers of an ordinary size")
})

curves_folder <- function(table, name) {
  folder <- reproduction_folder(made_up_rows(data.frame(method = "sense", c = 0.7)), "fig8")
  utils::write.csv(table, file.path(folder, name), row.names = FALSE, na = "")
  folder
}

test_that("curves must have rows of numbers", {
  loss <- data.frame(image = 0, step = 0:2, loss = c(1, 2, Inf))
  accuracy <- data.frame(restart = 1, step = 0:2, k = 3:1, n = 4)
  expect_equal(reproduce_sense("fig8", out = curves_folder(loss, "fig8-cpu-loss.csv"))$loss, loss)
  expect_equal(reproduce_sense("fig8", out = curves_folder(accuracy, "fig8-cpu-accuracy.csv"))$worst_case, accuracy)
  damaged <- function(table, name) refused(curves_folder(table, name), name, "fig8")
  for (name in names(loss)) {
    for (value in list("a", NA)) damaged(replace(loss, name, c(0, 1, value)), "fig8-cpu-loss.csv")
  }
  for (name in names(accuracy)) {
    for (value in list("a", NA, 1.5, Inf)) damaged(replace(accuracy, name, c(1, 1, value)), "fig8-cpu-accuracy.csv")
  }
  damaged(cbind(loss, seed = "a"), "fig8-cpu-loss.csv")
  damaged(loss[0, ], "fig8-cpu-loss.csv")
  damaged(accuracy[0, ], "fig8-cpu-accuracy.csv")
  damaged(transform(accuracy, k = 5), "fig8-cpu-accuracy.csv")
  damaged(transform(accuracy, step = -1), "fig8-cpu-accuracy.csv")
})
