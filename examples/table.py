"""A table of numbers, with the interface of scikit-learn; eps is in standard deviations."""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score, train_test_split

import sense

x, y = load_breast_cancer(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0, stratify=y)

classifier = sense.SenseClassifier("sense", eps=0.2, c=0.7, epochs=5, random_state=0)
print("accuracy by cross-validation:", cross_val_score(classifier, x_train, y_train, cv=3))

classifier.fit(x_train, y_train)
print(classifier.evaluate(x_test, y_test))
