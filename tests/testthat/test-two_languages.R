# R's sensible examples against Python's attack, through reticulate. tests/python/test_r.py tests the
# same from Python, through rpy2.
python_step <- function(x, y, f, eps, c, K, step_size, norm) {
  torch <- reticulate::import("torch", convert = FALSE)
  attacks <- reticulate::import_from_path("sense.attacks", path = python_source(), convert = FALSE)
  tensor <- function(v) torch$tensor(reticulate::r_to_py(v), dtype = torch$float64)
  # Logits 0 and w.x + b give class 1 the probability plogis(w.x + b).
  model <- torch$nn$Linear(2L, 2L)$double()
  model$load_state_dict(reticulate::dict(
    weight = tensor(list(list(0, 0), as.list(f$w))), bias = tensor(list(0, f$b))
  ))
  rows <- lapply(seq_len(nrow(x)), function(i) as.list(x[i, ]))
  labels <- torch$tensor(reticulate::r_to_py(as.list(as.integer((y + 1) / 2))), dtype = torch$int64)
  moved <- attacks$sensible(
    model, tensor(rows), labels, eps = eps, step_size = step_size, steps = as.integer(K), c = c,
    norm = norm, bounds = reticulate::tuple(-Inf, Inf)
  )
  do.call(rbind, lapply(reticulate::py_to_r(moved$tolist()), unlist))
}

test_that("R and Python make the same sensible examples to 1e-8", {
  skip_if_no_sense()
  data <- three_clusters(200, m = 2, sigma = 0.9, seed = 1)
  x <- as_points(data)
  f <- linear_classifier(c(1.5, 0.6), -0.2)
  for (norm in c(2, Inf)) for (case in list(c(0.8, 1, 0.6), c(0.8, 4, 0.15), c(0.55, 7, 0.11))) {
    theirs <- python_step(x, data$y, f, 0.6, case[1], case[2], case[3], norm)
    ours <- sensible_examples(x, data$y, f, 0.6, case[1], case[2], case[3], "revert", norm = norm)
    expect_setequal(ours$stage, c("A", "B", "C"))
    expect_lt(max(abs(as_points(ours) - theirs)), 1e-8)
    # Projection differs in stage B only.
    projected <- sensible_examples(x, data$y, f, 0.6, case[1], case[2], case[3], norm = norm)
    apart <- apply(abs(as_points(projected) - theirs), 1, max) > 1e-8
    expect_true(any(apart) && all(projected$stage[apart] == "B"))
  }
})
