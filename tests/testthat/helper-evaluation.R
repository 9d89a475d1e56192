# Folders as `python -m sense.evaluate` leaves them, with outcomes of one's choice: for each
# attack, which images are right.
evaluation_folder <- function(right, ..., attacks = NULL, eps = 0.3, norm = "inf", label = 1L,
                              images = seq_along(right[[1]]) - 1L, method = "sense", seed = 1L,
                              draw = NULL, finished = TRUE, diagnostics = NULL, name = "toy",
                              sha256 = "abc", cascade = FALSE) {
  folder <- file.path(tempfile("evaluation-"), name)
  dir.create(folder, recursive = TRUE)
  right <- lapply(right, as.integer)
  n <- length(right[[1]])
  rows <- lapply(names(right), function(attack) {
    data.frame(
      image = images, label = label, attack = attack,
      prediction = ifelse(right[[attack]] == 1, label, label + 1L), correct = right[[attack]]
    )
  })
  utils::write.csv(
    do.call(rbind, rows), file.path(folder, "outcomes.csv"), row.names = FALSE, quote = FALSE
  )
  others <- setdiff(names(right), "natural")
  known <- lapply(stats::setNames(others, others), function(attack) {
    list(label = toupper(attack), steps = 10L, eps = eps, norm = norm, attacked = n, seconds = 1)
  })
  known <- utils::modifyList(known, attacks %||% list())
  write_json_file(
    list(
      target = list(name = name, kind = "run", model = "capacity-1", weights_sha256 = "def"),
      data = list(name = "toy", sha256 = sha256, n = n, of = n + 5L, draw = draw),
      options = list(eps = eps, norm = norm, seed = 0L, batch = 250L, cascade = cascade),
      attacks = c(list(natural = list(label = "natural")), known),
      accuracy = lapply(right, function(one) list(k = sum(one), n = n)),
      diagnostics = diagnostics, finished = finished,
      provenance = list(command = "python -m sense.evaluate toy", commit = NULL)
    ),
    file.path(folder, "evaluation.json")
  )
  write_json_file(
    list(
      config = list(method = method, c = 0.7, model = "capacity-1", eps = eps, seed = seed, ...),
      data = list(name = "toy", sha256 = sha256)
    ),
    file.path(folder, "config.json")
  )
  sealed(folder)
}

# A folder whose files are as a test wants them.
sealed <- function(folder) {
  suppressMessages(seal_run(folder))
  folder
}

write_json_file <- function(x, path) {
  writeLines(jsonlite::toJSON(x, auto_unbox = TRUE, null = "null", digits = NA), path)
}

# Diagnostics: a warning, a passed check and a skipped one.
toy_diagnostics <- function() {
  list(
    images = 8L, seconds = 1.5,
    checks = list(
      list(check = "large-eps", verdict = "warning", value = 0.25, threshold = 0, text = "At eps = 1 PGD leaves 25 % right"),
      list(check = "randomness", verdict = "ok", value = 0, threshold = 0, text = "Two passes agree"),
      list(check = "stronger-attack", verdict = "skipped", value = NULL, threshold = NULL, text = "AutoAttack was not tried")
    )
  )
}

# With the tables of a curve and of PGD's course.
add_curves <- function(folder, n = 4) {
  radii <- c(0, 0.1, 0.3)
  utils::write.csv(
    data.frame(eps = radii, k = c(4, 3, 1), n = n, estimate = 0, lower = 0, upper = 0),
    file.path(folder, "curve.csv"), row.names = FALSE
  )
  course <- expand.grid(step = 0:5, image = 0:2)[2:1]
  course$loss <- with(course, (image + 1) * step / 10)
  utils::write.csv(course, file.path(folder, "convergence.csv"), row.names = FALSE)
  left <- expand.grid(step = 0:5, restart = 1:2)[2:1]
  left$k <- ifelse(left$restart == 1, 3 - left$step %/% 3, 1)
  left$n <- 3
  utils::write.csv(
    cbind(left, estimate = 0, lower = 0, upper = 0),
    file.path(folder, "convergence_accuracy.csv"), row.names = FALSE
  )
  sealed(folder)
}

`%||%` <- function(x, y) if (is.null(x)) y else x

# What a plot draws in its i-th layer.
layer_data_of <- function(plot, i) ggplot2::ggplot_build(plot)$data[[i]]
